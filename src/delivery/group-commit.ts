import { bisectOnError } from '../database/batched.ts'
import { Batcher, type BatchFailure, type BatchObserver } from '../util/batcher.ts'
import { BusyMap } from '../util/busy-map.ts'

/** As long as no more are under way, one partition takes all: few messages in two batches cost as much as twice as many. */
const FEW_MESSAGES = 32
/** A sender with fewer messages under way asks for little. */
const FEW_OF_A_SENDER = 4
/** Of what may wait, senders with more may use so much. */
const SHARE_OF_BUSY = 3 / 4
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

/** What is under way for one recipient. */
interface Way<T extends Item, R> {
  partition: Partition<T, R>
  messages: number
  /** Behind the last of these messages, which are in the quiet partition, follows this, in another one. */
  readonly behind: { readonly message: T; readonly done: Done<R> }[]
}

type Done<R> = (result: R | BatchFailure) => void

interface Item {
  readonly network: string
  readonly sender: string
  readonly recipient: string
  readonly bytes: number
  /** It takes a place in quotas, whose rows are locked for it. */
  readonly slot: boolean
}

type Partition<T extends Item, R> = Batcher<T, R>

/**
 * Commits messages in groups, in partitions that are written side by side:
 *
 * - `live`, two: for connected recipients. While Postgres writes one group, the next one is prepared.
 * - `away`, two: for recipients that are away. Their groups wait for the locks of quotas, which no live message should. While
 *   both are busy, the name of the sender chooses, so that they seldom wait for the same sender's quota.
 * - `quiet`: for connected recipients, from senders that have little under way, once others have much.
 *
 * The groups of one recipient are written one after the other, in the order in which its messages were handed over, so
 * places in its mailbox follow acceptance: as long as one of them is under way, those that follow go the same way, or wait
 * until it is written.
 */
export class GroupCommit<T extends Item, R> {
  readonly #partitions: readonly Partition<T, R>[]
  readonly #live: Pair<T, R>
  readonly #away: Pair<T, R>
  readonly #quiet: Partition<T, R>
  readonly #ways = new BusyMap<string, Way<T, R>>()
  /** Messages that each sender has under way. */
  readonly #ofSender = new BusyMap<string, number>()
  readonly #limits: GroupCommitOptions<T, R>['limits']
  /** Messages that wait for others to leave the quiet partition, and their bytes. */
  #behind = 0
  #behindBytes = 0

  constructor({ write, limits, failed, observer }: GroupCommitOptions<T, R>) {
    this.#limits = limits
    const options = {
      write: (batch: readonly T[]) => bisectOnError(batch, write, failed),
      limits: {
        batchItems: BATCH_ITEMS,
        batchBytes: BATCH_BYTES,
        waitingItems: limits.waitingMessages,
        waitingBytes: limits.waitingBytes,
        deadlineMs: limits.deadlineMs
      },
      failed: (error: unknown) => failed(error, 1),
      observer
    }
    const partition = () => new Batcher<T, R>(options)
    this.#live = [partition(), partition()]
    this.#away = [partition(), partition()]
    this.#quiet = partition()
    this.#partitions = [...this.#live, ...this.#away, this.#quiet]
  }

  /** Messages that wait for a commit. */
  get waiting(): number {
    return this.#behind + this.#sum(({ waiting }) => waiting)
  }

  /** Messages that were written, or tried to be, since the start. */
  get written(): number {
    return this.#sum(({ written }) => written)
  }

  /** Hands a message over; `done` is called once, after its commit or when it was given up, never before this returns. */
  add(message: T, done: Done<R>): void {
    const { network, sender, recipient } = message
    const from = `${network} ${sender}`
    const ofSender = this.#ofSender.get(from) ?? 0
    const hasLittle = ofSender < FEW_OF_A_SENDER
    if (!this.#hasRoom(message, hasLittle ? 1 : SHARE_OF_BUSY)) {
      setImmediate(done, 'busy')
      return
    }
    this.#ofSender.set(from, ofSender + 1)
    const ended: Done<R> = (result) => {
      const left = this.#ofSender.get(from)! - 1
      if (left === 0) this.#ofSender.delete(from)
      else this.#ofSender.set(from, left)
      done(result)
    }
    const way = this.#ways.get(recipient)
    if (way === undefined) {
      const partition = this.#choose(message, hasLittle)
      this.#write(this.#open(recipient, partition), message, ended)
    } else if (way.behind.length > 0 || (way.partition === this.#quiet && !hasLittle)) {
      way.behind.push({ message, done: ended })
      this.#behind += 1
      this.#behindBytes += message.bytes
    } else this.#write(way, message, ended)
  }

  /** Resolves when nothing waits and nothing is being written. */
  async drained(): Promise<void> {
    while (this.#ways.size > 0) await Promise.all(this.#partitions.map((partition) => partition.drained()))
  }

  #open(recipient: string, partition: Partition<T, R>): Way<T, R> {
    const way: Way<T, R> = { partition, messages: 0, behind: [] }
    this.#ways.set(recipient, way)
    return way
  }

  #write(way: Way<T, R>, message: T, done: Done<R>): void {
    way.messages += 1
    way.partition.add(message, (result) => {
      way.messages -= 1
      if (way.messages === 0) this.#follow(way, message.recipient)
      done(result)
    })
  }

  /** All of the way is written: what waited behind it goes on, none of it from senders that have little under way. */
  #follow({ behind }: Way<T, R>, recipient: string): void {
    this.#ways.delete(recipient)
    const [first] = behind
    if (first === undefined) return
    const next = this.#open(recipient, this.#choose(first.message, false))
    for (const { message, done } of behind) {
      this.#behind -= 1
      this.#behindBytes -= message.bytes
      this.#write(next, message, done)
    }
  }

  #choose({ slot, sender }: T, hasLittle: boolean): Partition<T, R> {
    const [first, second] = slot ? this.#away : this.#live
    if (first.underWay <= FEW_MESSAGES) return first
    if (slot) return sender.charCodeAt(sender.length - 1) % 2 === 0 ? first : second
    if (hasLittle) return this.#quiet
    return first.underWay <= second.underWay ? first : second
  }

  #hasRoom({ bytes }: T, share: number): boolean {
    const { waitingMessages, waitingBytes } = this.#limits
    const waiting = this.#behindBytes + this.#sum((each) => each.waitingBytes)
    return this.waiting < waitingMessages * share && waiting + bytes <= waitingBytes * share
  }

  #sum(of: (partition: Partition<T, R>) => number): number {
    return this.#partitions.reduce((sum, partition) => sum + of(partition), 0)
  }
}

type Pair<T extends Item, R> = readonly [Partition<T, R>, Partition<T, R>]
