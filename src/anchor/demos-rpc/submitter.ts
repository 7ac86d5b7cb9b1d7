// Brings the transaction of one checkpoint to the node: a first one, the same one again, or one in its place.
import type { SubmissionStore } from '../../store/anchor-submission.ts'
import type { Log } from '../../util/log.ts'
import { DemosRpcError, isDemosRpcError } from './errors.ts'
import type { Confirmation, NodeClient } from './node-client.ts'
import {
  type AnchoredHead,
  checkpointData,
  checkpointKey,
  type SignedTransaction,
  signTransaction,
  type Terms,
  toSubmission,
  type Wallet
} from './transaction.ts'

export interface SubmitterParts {
  readonly client: NodeClient
  readonly wallet: Wallet
  readonly store: SubmissionStore
  readonly clock: () => number
  readonly log: Log
  /** Resolves when the chain is `blocks` further; rejects with UNSETTLED when that takes too long. */
  readonly nextBlocks: (blocks: number) => Promise<void>
}

/** Blocks after which a transaction that is in one of them is surely told as included. */
const SETTLED_BLOCKS = 2
/** How often a confirmation that has become too old is renewed before the checkpoint waits for its next turn. */
const MAX_CONFIRMATIONS = 4

export interface Submitter {
  /** Signs, remembers and sends a transaction with the next free nonce. */
  first(head: AnchoredHead): Promise<SignedTransaction>
  /**
   * Sends one again that the node does not know (any more), as it was signed. Resolves to what may now be on its way:
   * the same one, or one in its place when the node does not take it and it can never be included any more.
   */
  again(head: AnchoredHead, tried: readonly SignedTransaction[]): Promise<SignedTransaction>
}

/** Not to be called twice at a time: the next free nonce is known only when the one before is remembered. */
export function createSubmitter(parts: SubmitterParts): Submitter {
  const { client, wallet, store, log } = parts

  const signed = (head: AnchoredHead, nonce: number, terms: Terms): SignedTransaction =>
    signTransaction({ wallet, data: checkpointData(head, wallet.address), nonce, timestamp: parts.clock(), terms })

  const readTerms = async (): Promise<Terms> => ({
    fees: await client.fees(),
    osDenomination: await client.osDenomination()
  })

  /** Sent, and nobody said what became of it: the next nonce is only free if it is. */
  let doubtful: SignedTransaction | undefined

  const deliver = async (transaction: SignedTransaction, confirmation?: Confirmation): Promise<void> => {
    doubtful = transaction
    try {
      await broadcast(client, transaction, confirmation ?? (await client.confirm(transaction)))
      doubtful = undefined
    } catch (error) {
      if (isDemosRpcError(error, 'REFUSED')) doubtful = undefined
      throw error
    }
  }

  /** One that has failed is never sent again: the node could take it a second time, beside the one in its place. */
  const settleDoubt = async (): Promise<void> => {
    if (!doubtful) return
    const { state } = await client.transactionStatus(doubtful.hash)
    if (state === 'unknown') await orRefusal(deliver(doubtful))
    else doubtful = undefined
  }

  /** Once remembered the node may have it, whatever becomes of us; a refusal then only means: look at its state. */
  const send = async (head: AnchoredHead, transaction: SignedTransaction, confirmation: Confirmation) => {
    await store.remember(checkpointKey(head), toSubmission(transaction))
    const refusal = await orRefusal(deliver(transaction, confirmation))
    if (refusal) log.warn({ transaction: transaction.hash, err: refusal }, 'anchor transaction refused when sent')
    return transaction
  }

  const first = async (head: AnchoredHead): Promise<SignedTransaction> => {
    await settleDoubt()
    const terms = await readTerms()
    const ledgerNonce = await client.addressNonce(wallet.address)
    const nonce = Math.max(ledgerNonce, await store.highestNonce(wallet.address)) + 1 // the ledger's lags
    const transaction = signed(head, nonce, terms)
    const confirmation = await orRefusal(client.confirm(transaction))
    if (!(confirmation instanceof DemosRpcError)) return send(head, transaction, confirmation)
    // One before it may have been dropped for good: then the ledger's next nonce is the only one that is taken.
    if (nonce === ledgerNonce + 1) throw confirmation
    const instead = signed(head, ledgerNonce + 1, terms)
    return send(head, instead, await client.confirm(instead))
  }

  /** Same nonce, so that at most one of the two is ever included. */
  const resign = async (head: AnchoredHead, refused: SignedTransaction, refusal: DemosRpcError) => {
    const instead = signed(head, refused.content.nonce, await readTerms())
    if (sameButForTime(instead, refused)) throw refusal
    const confirmation = await client.confirm(instead)
    log.warn({ refused: refused.hash, instead: instead.hash }, 'anchor transaction signed again under new terms')
    return send(head, instead, confirmation)
  }

  /**
   * Whether another transaction was included with this one's nonce. The ledger's count alone does not tell: a chain
   * before the nonceEnforcement fork counts, and includes this one all the same. One that enforces gives it as the reason.
   */
  const isTaken = async ({ content }: SignedTransaction, refusal: DemosRpcError): Promise<boolean> =>
    /\bnonce\b/i.test(refusal.message) && (await client.addressNonce(wallet.address)) >= content.nonce

  return {
    first,

    async again(head, tried) {
      const latest = tried.at(-1)!
      if (latest.content.from === wallet.address) {
        const refusal = await orRefusal(deliver(latest))
        if (!refusal) return latest
        // Perhaps because it is in already: a node that counts nonces does not say so.
        if (await isKnown(client, tried)) return latest
        if (!(await isTaken(latest, refusal))) {
          const instead = await orRefusal(resign(head, latest, refusal))
          if (!(instead instanceof DemosRpcError)) return instead
          if (!(await isTaken(latest, instead))) throw instead
        }
      }
      await parts.nextBlocks(SETTLED_BLOCKS)
      if (await isKnown(client, tried)) return latest
      log.warn({ abandoned: latest.hash }, 'anchor transaction can not be included any more; another takes its place')
      return first(head)
    }
  }
}

async function broadcast(client: NodeClient, transaction: SignedTransaction, confirmed: Confirmation): Promise<void> {
  let confirmation = confirmed
  for (let count = 1; ; count++) {
    try {
      return await client.broadcast(confirmation)
    } catch (error) {
      if (!isDemosRpcError(error, 'STALE_REFERENCE') || count === MAX_CONFIRMATIONS) throw error
      confirmation = await client.confirm(transaction)
    }
  }
}

async function orRefusal<T>(answer: Promise<T>): Promise<T | DemosRpcError> {
  try {
    return await answer
  } catch (error) {
    if (isDemosRpcError(error, 'REFUSED')) return error
    throw error
  }
}

async function isKnown(client: NodeClient, transactions: readonly SignedTransaction[]): Promise<boolean> {
  for (const { hash } of transactions) {
    const { state } = await client.transactionStatus(hash)
    if (state === 'pending' || state === 'included') return true
  }
  return false
}

function sameButForTime(one: SignedTransaction, other: SignedTransaction): boolean {
  const timeless = ({ content }: SignedTransaction) => JSON.stringify({ ...content, timestamp: 0 })
  return timeless(one) === timeless(other)
}
