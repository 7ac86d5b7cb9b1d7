// What was signed for a checkpoint, kept before it is sent, so that a crash cannot make us pay twice.
import { type SignedTransaction, sha256Hex } from './transaction.ts'

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

export function toSubmission(transaction: SignedTransaction): Submission {
  const { hash, content } = transaction
  return { hash, address: content.from, nonce: content.nonce, transaction: JSON.stringify(transaction) }
}

/** Throws when the text is not, byte for byte, what was signed: sent like that it could only be refused. */
export function toTransaction({ hash, transaction }: Submission): SignedTransaction {
  const read = JSON.parse(transaction) as SignedTransaction
  if (read.hash !== hash || sha256Hex(JSON.stringify(read.content)) !== hash) {
    throw new Error(`the remembered transaction ${hash} was changed in the store`)
  }
  return read
}
