import type { Database } from '../database/database.ts'

/** A transaction that may be on its way. */
export interface Submission {
  /** Its hash: 64 hex digits. */
  readonly hash: string
  /** Who signed it. */
  readonly address: string
  /** Its number among the transactions of `address`. */
  readonly nonce: number
  /** JSON text. Store it as text, not as jsonb: the order of its keys is what was signed. */
  readonly transaction: string
}

/**
 * Durable memory, one row a transaction, never changed. One process at a time anchors (the outbox holds a lock).
 * When the chain itself was started anew, or `url` names another chain, it has to be emptied by an operator.
 */
export interface SubmissionStore {
  /** Everything remembered for a checkpoint, oldest first. */
  recall(checkpoint: string): Promise<readonly Submission[]>
  /** On disk when it resolves; only then is the transaction sent. */
  remember(checkpoint: string, submission: Submission): Promise<void>
  /** Highest nonce remembered for an address over all checkpoints, 0 when there is none. */
  highestNonce(address: string): Promise<number>
}

/** The durable memory of the anchor on a Demos chain. */
export function anchorSubmissions(database: Database): SubmissionStore {
  const { sql } = database
  return {
    recall: (checkpoint) =>
      database.within(sql<Submission[]>`
        select hash, address, nonce, transaction from anchor_submission where checkpoint = ${checkpoint} order by id`),
    remember: async (checkpoint, { hash, address, nonce, transaction }) => {
      await database.within(sql`
        insert into anchor_submission (checkpoint, hash, address, nonce, transaction)
        values (${checkpoint}, ${hash}, ${address}, ${nonce}, ${transaction})`)
    },
    highestNonce: async (address) => {
      const [row] = await database.within(sql<{ nonce: number }[]>`
        select coalesce(max(nonce), 0) as nonce from anchor_submission where address = ${address}`)
      return row!.nonce
    }
  }
}
