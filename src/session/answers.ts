import type { Answer, Effect, Later } from './effect.ts'
import type { FlowControl } from './flow-control.ts'

export interface AnswersOptions {
  /** Most frames that may be under way; past it further ones are held. */
  readonly framesInFlight: number
  readonly flow: Pick<FlowControl, 'hold' | 'release'>
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
  readonly #options: AnswersOptions
  readonly #slots: Slot[] = []

  constructor(options: AnswersOptions) {
    this.#options = options
  }

  /** Is a frame not answered yet? */
  get isPending(): boolean {
    return this.#slots.length > 0
  }

  carryOut(effect: Effect, data: Buffer, since?: number): void {
    const { framesInFlight, flow, say } = this.#options
    if (this.#slots.length === 0 && 'frame' in effect) {
      say(effect)
      return
    }
    const slot: Slot = { answer: undefined, since }
    this.#slots.push(slot)
    if (this.#slots.length >= framesInFlight) flow.hold('in-flight')
    if (effect instanceof Promise) this.#await(slot, effect, data)
    else this.#settle(slot, effect, data)
  }

  #await(slot: Slot, effect: Promise<Answer | Later>, data: Buffer): void {
    const { flow, failed } = this.#options
    flow.hold('answer')
    effect
      .catch((error: unknown) => failed(error, data))
      .then((settled) => {
        this.#settle(slot, settled, data)
        flow.release('answer')
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
      this.#fill(slot, this.#options.failed(error, data))
    }
  }

  #fill(slot: Slot, answer: Answer): void {
    const { framesInFlight, flow, say, took } = this.#options
    slot.answer = answer
    if (slot.since !== undefined) took(performance.now() - slot.since)
    while (this.#slots[0]?.answer !== undefined) say(this.#slots.shift()!.answer!)
    if (this.#slots.length < framesInFlight) flow.release('in-flight')
  }
}
