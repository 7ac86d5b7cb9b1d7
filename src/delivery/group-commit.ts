import { bisectOnError } from '../database/batched.ts'
import { Batcher, type BatchFailure, type BatchObserver } from '../util/batcher.ts'

/** Batches under way at once: while Postgres writes one, the other is prepared. */
const PARTITIONS = 2
/** As long as no more wait, the first partition takes all: few messages in two batches cost as much as twice as many. */
const FEW_WAITING = 32
const BATCH_ITEMS = 512
const BATCH_BYTES = 4_194_304

export interface GroupCommitOptions<T, R> {
  /** Writes a batch in one transaction: a result for each item, in their order. */
  readonly write: (batch: readonly T[]) => Promise<readonly R[]>
  readonly limits: { readonly waitingMessages: number; readonly waitingBytes: number; readonly deadlineMs: number }
  /** Hears of a batch that was not written, and of a result that could not be handed on. */
  readonly failed: (error: unknown, messages: number) => void
  readonly observer?: BatchObserver | undefined
}

/** Where the messages of one recipient are that wait or are being written. */
interface UnderWay<T extends { readonly bytes: number }, R> {
  readonly partition: Batcher<T, R>
  messages: number
}

/**
 * Commits messages in groups. The groups of one recipient are written one after the other, in the order in which its
 * messages were handed over, so places in its mailbox follow acceptance: as long as one of them is under way, those that
 * follow go the same way.
 */
export class GroupCommit<T extends { readonly recipient: string; readonly bytes: number }, R> {
  readonly #partitions: readonly Batcher<T, R>[]
  readonly #underWay = new Map<string, UnderWay<T, R>>()

  constructor({ write, limits, failed, observer }: GroupCommitOptions<T, R>) {
    const options = {
      write: (batch: readonly T[]) => bisectOnError(batch, write, failed),
      limits: {
        batchItems: BATCH_ITEMS,
        batchBytes: BATCH_BYTES,
        waitingItems: limits.waitingMessages / PARTITIONS,
        waitingBytes: limits.waitingBytes / PARTITIONS,
        deadlineMs: limits.deadlineMs
      },
      failed: (error: unknown) => failed(error, 1),
      observer
    }
    this.#partitions = Array.from({ length: PARTITIONS }, () => new Batcher<T, R>(options))
  }

  /** Messages that wait for a commit. */
  get waiting(): number {
    return this.#partitions.reduce((sum, partition) => sum + partition.waiting, 0)
  }

  /** Messages that were written, or tried to be, since the start. */
  get written(): number {
    return this.#partitions.reduce((sum, partition) => sum + partition.written, 0)
  }

  /** Hands a message over; `done` is called once, after its commit or when it was given up, never before this returns. */
  add(message: T, done: (result: R | BatchFailure) => void): void {
    const { recipient } = message
    const way = this.#wayOf(recipient)
    way.messages += 1
    way.partition.add(message, (result) => {
      way.messages -= 1
      if (way.messages === 0) this.#underWay.delete(recipient)
      done(result)
    })
  }

  /** Resolves when nothing waits and nothing is being written. */
  async drained(): Promise<void> {
    await Promise.all(this.#partitions.map((partition) => partition.drained()))
  }

  #wayOf(recipient: string): UnderWay<T, R> {
    let way = this.#underWay.get(recipient)
    if (way === undefined) {
      way = { partition: this.#choose(), messages: 0 }
      this.#underWay.set(recipient, way)
    }
    return way
  }

  #choose(): Batcher<T, R> {
    const [first, second] = this.#partitions as [Batcher<T, R>, Batcher<T, R>]
    return first.waiting <= FEW_WAITING || first.waiting <= second.waiting ? first : second
  }
}
