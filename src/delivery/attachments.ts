import type { Present, Registry } from '../presence/registry.ts'
import type { Page, QueueEntry } from '../store/queue-entry.ts'
import type { BatchFailure } from '../util/batcher.ts'
import type { DeliveryWindow } from './delivery.ts'
import type { MailboxContents, MailboxCounter, MailboxCounters } from './mailbox-counter.ts'
import type { Box, HeldPlace, Places } from './places.ts'
import type { ReceiptMode, ReceiptStrength } from './receipts.ts'
import type { Releases } from './releases.ts'

/** A number that grows, and one whose values are spread: what this room needs of a metric. */
interface Counter {
  inc(by?: number): void
}
interface Histogram {
  observe(value: number): void
}

export interface DeliveryCounts {
  readonly delivered: Readonly<Record<ReceiptStrength, Counter>>
  /** Entries sent again. */
  readonly redelivered: Counter
  /** From acceptance to receipt, where the recipient was connected. */
  readonly deliverySeconds: Histogram
  /** From a ping behind messages to its pong. */
  readonly roundTripSeconds: Histogram
  readonly proxyPongs: Counter
}

/** What the sessions of one protocol are attached with. */
export interface Attachments<M extends Present> {
  readonly registry: Registry<M>
  readonly counters: MailboxCounters
  readonly releases: Releases
  /** Undefined: the relay is alone. */
  readonly places: Places | undefined
  /** What a mailbox holds now, for whatever key. */
  contentsOf(box: Pick<Box, 'network' | 'recipient'>): Promise<MailboxContents | BatchFailure>
  /** Reads a page of a mailbox, oldest first. Rejects with `NoPlace` when the client id has another place now. */
  readPage(box: Box, page: Pick<Page, 'afterSeq' | 'limit' | 'maxBytes' | 'known' | 'place'>): Promise<QueueEntry[]>
  /** The entry at this place cannot be sent to its recipient: it is withheld from now on. */
  withhold(seq: number): void
  /** An entry of so many bytes has left its mailbox, received. */
  left(network: string, bytes: number): void
  readonly mode: ReceiptMode
  /** How long what a browser receipted by pong can still be delivered again, in ms. */
  readonly graceMs: number
  readonly window: DeliveryWindow
  /** Most sessions of one peer. */
  readonly sessionsPerPeer: number
  readonly counts: DeliveryCounts
  /** Milliseconds since 1970. */
  now(): number
  /** Milliseconds of a clock that stands still while the process does. */
  clock(): number
  readonly log: { warn(facts: object, message: string): void; error(facts: object, message: string): void }
}

/** A mailbox that is open for one more session of its recipient: `close` it unless a session is attached to it. */
export interface OpenedMailbox {
  readonly network: string
  readonly recipient: string
  readonly counter: MailboxCounter
  readonly isEmpty: boolean
  /** Its recipient's place in the cluster. */
  readonly place: HeldPlace | undefined
  close(): void
}

/** What a protocol knows of a peer that registers. */
export interface PeerFacts {
  /** What the others in its network call it. */
  readonly name: string
  /** The encryption key the peer registered with; null: the protocol has none. */
  readonly keyId: string | null
  readonly features: readonly string[]
}
