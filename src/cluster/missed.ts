import type { Log } from '../util/log.ts'

export interface MissedOptions {
  /** Looks into all mailboxes of this relay's peers, and has those read anew in which something waits. */
  readonly look: () => Promise<void>
  readonly log: Log
}

/** Rest between two looks while the relay may be deaf, and while all is well, in ms. */
const DEAF_MS = 950
const CALM_MS = 15_000

/**
 * What to do when a hand-over was missed: look into the mailboxes. Until a look that began after the miss is done,
 * `owesLook` says that what comes has to be read from the mailbox, in its order.
 *
 *     calm ──missed()──► owing ──a look that was asked for after the last miss is done──► calm
 */
export class Missed {
  readonly #options: MissedOptions
  #misses = 0
  #looked = 0
  #lookedAt = Number.NEGATIVE_INFINITY
  #looking: Promise<void> | undefined
  /** Looks that were done. */
  looks = 0

  constructor(options: MissedOptions) {
    this.#options = options
  }

  get owesLook(): boolean {
    return this.#misses > this.#looked
  }

  /** How many misses there were. */
  get misses(): number {
    return this.#misses
  }

  missed(): void {
    this.#misses += 1
    void this.#lookNow()
  }

  /** Called once a second. `isDeaf`: hand-overs may be missed without a sign. */
  tick(isDeaf: boolean): void {
    const restMs = isDeaf || this.owesLook ? DEAF_MS : CALM_MS
    if (performance.now() - this.#lookedAt >= restMs) void this.#lookNow()
  }

  #lookNow(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  async #look(): Promise<void> {
    try {
      do {
        const upTo = this.#misses // what is missed meanwhile is looked for once more
        this.#lookedAt = performance.now()
        await this.#options.look()
        this.looks += 1
        this.#looked = upTo
      } while (this.owesLook)
    } catch (error) {
      this.#options.log.warn({ err: error }, 'mailboxes not looked into, will try again')
    }
  }
}
