// An anchor on a fake node, with a memory that outlives it and pauses that take no time.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { TestContext } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { createDemosRpcAnchor, type DemosRpcAnchorOptions } from '../../../src/anchor/demos-rpc/anchor.ts'
import type { DemosRpcError } from '../../../src/anchor/demos-rpc/errors.ts'
import type { SignedTransaction } from '../../../src/anchor/demos-rpc/transaction.ts'
import type { Submission, SubmissionStore } from '../../../src/store/anchor-submission.ts'
import { type FakeNode, type Fault, type SeenRequest, startFakeNode } from './fake-node.ts'

export interface Vectors {
  wallet: { seed32Hex: string; publicKeyHex: string }
  signedTransaction: SignedTransaction
  hashInput: string
  exchange: { method: string; path: string; headers: Record<string, string>; body: { params: { message: string }[] } }[]
  fakeReplies: Record<'confirmTx' | 'broadcastTx' | 'getTransactionStatus', unknown>
}

const VECTORS = new URL('../../vectors/rpc-submission.json', import.meta.url)
export const vectors: Vectors = JSON.parse(readFileSync(VECTORS, 'utf8'))
export const seed = Buffer.from(vectors.wallet.seed32Hex, 'hex')
export const address = vectors.wallet.publicKeyHex

/** A store that outlives the anchors of one test. */
class MemoryStore implements SubmissionStore {
  readonly rows: { checkpoint: string; submission: Submission }[] = []

  async recall(checkpoint: string): Promise<Submission[]> {
    return this.rows.filter((row) => row.checkpoint === checkpoint).map((row) => row.submission)
  }

  async remember(checkpoint: string, submission: Submission): Promise<void> {
    this.rows.push({ checkpoint, submission })
  }

  async highestNonce(account: string): Promise<number> {
    const own = this.rows.filter(({ submission }) => submission.address === account)
    return Math.max(0, ...own.map(({ submission }) => submission.nonce))
  }
}

export interface Line {
  readonly level: string
  readonly fields: unknown
  readonly text: unknown
}

export interface Stage {
  readonly node: FakeNode
  readonly store: MemoryStore
  readonly lines: Line[]
  /** Pauses asked for, in ms. */
  readonly pauses: number[]
  /** What the options of an anchor would be; a new one is a restarted process. */
  readonly options: DemosRpcAnchorOptions
  readonly start: (changes?: Partial<DemosRpcAnchorOptions>) => ReturnType<typeof createDemosRpcAnchor>
}

export async function stage(t: TestContext): Promise<Stage> {
  const node = await startFakeNode(t)
  const store = new MemoryStore()
  const lines: Line[] = []
  const pauses: number[] = []
  const note =
    (level: string) =>
    (fields: unknown, text?: unknown): void =>
      void lines.push({ level, fields, text })
  const options: DemosRpcAnchorOptions = {
    url: node.url,
    privateKey: seed,
    store,
    clock: Date.now,
    log: { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') },
    wait: async (ms, signal) => {
      signal?.throwIfAborted()
      pauses.push(ms)
      await setImmediate()
    }
  }
  const start = (changes = {}) => createDemosRpcAnchor({ ...options, ...changes })
  return { node, store, lines, pauses, options, start }
}

export const checkpoint = (size = 1, network = 'demo-net') => ({
  network,
  origin: `relay.example/audit/${network}`,
  size,
  rootHash: size.toString(16).padStart(64, '0'),
  note: 'a signed note'
})

export async function rejection(promise: Promise<unknown>): Promise<DemosRpcError> {
  return promise.then(
    () => assert.fail('it did not reject'),
    (error) => error
  )
}

/** The first request of this kind, or the one after `skip` of them, meets the fault. */
export function onCall({ node }: Stage, call: string, fault: Fault, skip = 0): void {
  let left = skip
  let done = false
  node.fault = (request: SeenRequest) => {
    if (done || request.call !== call || left-- > 0) return undefined
    done = true
    return fault
  }
}

export function assertOnce({ node }: Stage, ...sizes: number[]): void {
  const expected = sizes.map((size) => {
    const { network, origin, rootHash } = checkpoint(size)
    return [`${network}/${origin} ${size}:${rootHash}`, 1]
  })
  assert.deepEqual([...node.ledger.anchored()].sort(), expected.sort())
}
