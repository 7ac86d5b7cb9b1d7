import type { Answer, Effect, Later } from './effect.ts'
import type { FlowControl } from './flow-control.ts'

/** Whose frames are answered. */
export interface AnswersOwner {
  /** Writes an answer: in the order in which the frames came. */
  say(answer: Answer): void
  /** The answer to a frame whose handling failed for a reason of ours. `data`: the frame. */
  failed(error: unknown, data: Buffer): Answer
  /** The answer to a frame with a `since` was there so many ms later. */
  took(ms: number): void
}

/** The place of an answer in the order of frames. */
interface Slot {
  answer: Answer | undefined
  readonly since: number | undefined
}

/**
 * Carries effects out, and says their answers in the order in which the frames came, whatever each waits for. Frames behind
 * one whose effect is a promise are held until it is settled; others are handled meanwhile.
 */
export class Answers {
  readonly #owner: AnswersOwner
  readonly #flow: Pick<FlowControl, 'hold' | 'release'>
  readonly #framesInFlight: number
  readonly #slots: Slot[] = []

  /** `framesInFlight`: most frames that may be under way; past it further ones are held. */
  constructor(owner: AnswersOwner, flow: Pick<FlowControl, 'hold' | 'release'>, framesInFlight: number) {
    this.#owner = owner
    this.#flow = flow
    this.#framesInFlight = framesInFlight
  }

  /** Is a frame not answered yet? */
  get isPending(): boolean {
    return this.#slots.length > 0
  }

  carryOut(effect: Effect, data: Buffer, since?: number): void {
    if (this.#slots.length === 0 && 'frame' in effect) {
      this.#owner.say(effect)
      return
    }
    const slot: Slot = { answer: undefined, since }
    this.#slots.push(slot)
    if (this.#slots.length >= this.#framesInFlight) this.#flow.hold('in-flight')
    if (effect instanceof Promise) this.#await(slot, effect, data)
    else this.#settle(slot, effect, data)
  }

  #await(slot: Slot, effect: Promise<Answer | Later>, data: Buffer): void {
    this.#flow.hold('answer')
    effect
      .catch((error: unknown) => this.#owner.failed(error, data))
      .then((settled) => {
        this.#settle(slot, settled, data)
        this.#flow.release('answer')
      })
  }

  #settle(slot: Slot, effect: Answer | Later, data: Buffer): void {
    if ('frame' in effect) {
      this.#fill(slot, effect)
      return
    }
    try {
      effect.begin((answer) => this.#fill(slot, answer))
    } catch (error) {
      this.#fill(slot, this.#owner.failed(error, data))
    }
  }

  #fill(slot: Slot, answer: Answer): void {
    slot.answer = answer
    if (slot.since !== undefined) this.#owner.took(performance.now() - slot.since)
    while (this.#slots[0]?.answer !== undefined) this.#owner.say(this.#slots.shift()!.answer!)
    if (this.#slots.length < this.#framesInFlight) this.#flow.release('in-flight')
  }
}
