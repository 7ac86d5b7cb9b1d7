/**
 * Anchors checkpoints on a Demos chain: one `instantMessaging` transaction each, sent to one node over HTTP
 * (docs/protocol.md, 7). What a transaction holds and costs: transaction.ts.
 *
 * A checkpoint is anchored when a block includes a transaction of it. Paying twice is prevented by memory: what was
 * signed is stored before it is sent, and afterwards the very same bytes are sent until the chain has them. Another
 * transaction takes its place only when the first can not be included any more (it failed, or the chain refuses it since
 * its nonce went to another and two blocks later it is still unknown) or with the same nonce, of which a chain that
 * enforces nonces includes one at most.
 */
import type { KeyObject } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SubmissionStore } from '../../store/anchor-submission.ts'
import type { Log } from '../../util/log.ts'
import type { Anchor } from '../anchor.ts'
import { DemosRpcError } from './errors.ts'
import { createNodeClient, type NodeClient } from './node-client.ts'
import { createSubmitter, type Submitter } from './submitter.ts'
import { type AnchoredHead, checkpointKey, createWallet, type SignedTransaction, toTransaction } from './transaction.ts'
import { createTransport, type TransportOptions, type Wait } from './transport.ts'

export interface DemosRpcAnchorOptions {
  /** The node; a user and password in the URL become an Authorization header. */
  readonly url: string
  /** The account that pays: a 32-byte ed25519 seed, or the private key. */
  readonly privateKey: Uint8Array | KeyObject
  readonly store: SubmissionStore
  /** Milliseconds since 1970; nodes refuse requests signed more than 5 minutes away from their own clock. */
  readonly clock: () => number
  readonly log: Log
  /** Ends what is under way at once; what was sent is settled by the next try. */
  readonly signal?: AbortSignal
  readonly transport?: Partial<Pick<TransportOptions, TransportLimit>>
  readonly patience?: Partial<Patience>
  /** Tests pass one that does not wait. */
  readonly wait?: Wait
}

type TransportLimit = 'deadlineMs' | 'retries' | 'pauseMs' | 'maxPauseMs' | 'maxReplyBytes'

/** How long one `anchor()` waits for the chain; times are counted between requests. */
export interface Patience {
  /** Rest between two polls of a transaction's state, in ms. */
  readonly pollMs: number
  /** A transaction the node still does not know after this is sent again, in ms. */
  readonly resendMs: number
  /** Then `anchor()` rejects with UNSETTLED, in ms; the next one goes on from there. */
  readonly settleMs: number
}

const LIMITS = { deadlineMs: 15_000, retries: 4, pauseMs: 250, maxPauseMs: 8_000, maxReplyBytes: 262_144 }
const PATIENCE: Patience = { pollMs: 2_000, resendMs: 30_000, settleMs: 120_000 }

const realWait: Wait = async (ms, signal) => {
  await sleep(ms, undefined, signal ? { signal } : {})
}

/**
 * `anchor()` resolves once a block includes the transaction; it rejects with a DemosRpcError, whose `retryAfterMs` says
 * when to try again, with the reason of `signal`, or with what the store rejects with. Calls for several checkpoints may
 * run at once: they are sent one after the other and waited for together. Throws on an unusable URL or key.
 */
export function createDemosRpcAnchor(options: DemosRpcAnchorOptions): Anchor {
  const { url, store, clock, log, signal } = options
  const wallet = createWallet(options.privateKey)
  const wait = options.wait ?? realWait
  const transport = createTransport({ ...LIMITS, ...options.transport, url, wait, clock, signal })
  const client = createNodeClient({ transport, wallet, clock })
  const patience = { ...PATIENCE, ...options.patience }
  const nextBlocks = blockWaiter(client, patience, (ms) => wait(ms, signal))
  const submitter = oneAtATime(createSubmitter({ client, wallet, store, clock, log, nextBlocks }))

  const settle = async (head: AnchoredHead): Promise<{ reference: string }> => {
    const tried = (await store.recall(checkpointKey(head))).map(toTransaction)
    let sentMs = Number.POSITIVE_INFINITY // how long ago, as far as this call knows
    for (let waitedMs = 0; waitedMs <= patience.settleMs; waitedMs += patience.pollMs) {
      const found = await stateOf(client, tried)
      if (found.included) {
        log.info({ network: head.network, size: head.size, ...found.included }, 'checkpoint anchored')
        return { reference: found.included.transaction }
      }
      if (found.failed && sentMs < Number.POSITIVE_INFINITY) {
        throw new DemosRpcError('REFUSED', `the chain marked transaction ${tried.at(-1)?.hash} as failed`)
      }
      if (found.pending || sentMs < patience.resendMs) {
        await wait(patience.pollMs, signal)
        sentMs += patience.pollMs
        continue
      }
      const anew = found.failed || tried.length === 0
      const sent = await (anew ? submitter.first(head) : submitter.again(head, tried))
      if (!tried.includes(sent)) tried.push(sent)
      sentMs = 0
    }
    throw new DemosRpcError('UNSETTLED', `transaction ${tried.at(-1)?.hash} is in no block yet`)
  }

  return { name: 'demos-rpc', anchor: oncePerCheckpoint(settle) }
}

interface Found {
  readonly included?: { readonly transaction: string; readonly block: number | null }
  readonly pending?: boolean
  /** The latest one was refused by the chain. */
  readonly failed?: boolean
}

/** The latest is the likeliest; an earlier one may still be the one that was included. */
async function stateOf(client: NodeClient, tried: readonly SignedTransaction[]): Promise<Found> {
  let pending = false
  let failed = false
  for (const { hash } of [...tried].reverse()) {
    const { state, blockNumber } = await client.transactionStatus(hash)
    if (state === 'included') return { included: { transaction: hash, block: blockNumber ?? null } }
    if (state === 'pending') pending = true
    if (state === 'failed' && hash === tried.at(-1)?.hash) failed = true
  }
  return { pending, failed }
}

function blockWaiter(client: NodeClient, { pollMs, settleMs }: Patience, wait: (ms: number) => Promise<void>) {
  return async (blocks: number): Promise<void> => {
    const goal = (await client.lastBlockNumber()) + blocks
    for (let waitedMs = 0; waitedMs < settleMs; waitedMs += pollMs) {
      await wait(pollMs)
      if ((await client.lastBlockNumber()) >= goal) return
    }
    throw new DemosRpcError('UNSETTLED', `the chain has not reached block ${goal}`)
  }
}

/** Nonces are given in the order in which transactions are remembered. */
function oneAtATime(submitter: Submitter): Submitter {
  let last: Promise<unknown> = Promise.resolve()
  const queue = <T>(work: () => Promise<T>): Promise<T> => {
    const result = last.then(work)
    last = result.catch(() => {})
    return result
  }
  return {
    first: (head) => queue(() => submitter.first(head)),
    again: (head, tried) => queue(() => submitter.again(head, tried))
  }
}

/** A second caller for a checkpoint that is under way shares the first one's answer. */
function oncePerCheckpoint<T>(settle: (head: AnchoredHead) => Promise<T>): (head: AnchoredHead) => Promise<T> {
  const underWay = new Map<string, Promise<T>>()
  return (head) => {
    const key = checkpointKey(head)
    const known = underWay.get(key)
    if (known) return known
    const started = settle(head).finally(() => underWay.delete(key))
    underWay.set(key, started)
    return started
  }
}
