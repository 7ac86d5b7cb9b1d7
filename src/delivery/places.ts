import type { BatchFailure } from '../util/batcher.ts'
import type { SentEntry } from './delivery.ts'

/** Whose mailbox, and the encryption key its recipient registered with. */
export interface Box {
  readonly network: string
  readonly recipient: string
  /** Entries sealed for another key are withheld. Null: the protocol has none. */
  readonly keyId: string | null
}

/** A place that was taken for one more session of a peer. */
export interface HeldPlace {
  readonly relay: string
  readonly epoch: number
}

/** A relay in a cluster and where its peers are; see src/cluster/. */
export interface Places {
  /**
   * Takes a place for one more session of a peer. `taken`: another relay has a live socket of this client id; `too-many`:
   * the peer has as many sessions as it may have. Each place is given back by `leave`.
   */
  enter(box: Box): Promise<HeldPlace | 'taken' | 'too-many' | BatchFailure>
  /** A session that took a place is registered; `name`: what the others call its peer. */
  joined(peer: { readonly network: string; readonly peer: string; readonly name: string }): void
  /**
   * A session that took a place has ended, or did not come about. `lostSeq`: it broke off, and may owe receipts of
   * messages up to this one. Resolves to whether the peer is away now.
   */
  leave(box: Pick<Box, 'network' | 'recipient'>, lostSeq: number | undefined): Promise<boolean>
  /** A peer seems to have no place here any more: looks, and takes it again, or ends its sessions. */
  doubt(peer: { readonly network: string; readonly peer: string }): void
  /** What is not committed at a place up to this one never will be. */
  settledTo(): number
  /** Releases an entry once every relay that owed a receipt of it has one; `settled` as in `Releases`. */
  release(entry: SentEntry, settled: (entry: SentEntry, hasLeft: boolean) => void): void
}
