import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { DemosRpcError } from '../../../src/anchor/demos-rpc/errors.ts'
import type { Fault, SeenRequest } from './fake-node.ts'
import type { WireTransaction } from './fake-node-checks.ts'
import { checkpoint, type Stage, stage } from './setup.ts'

/** Odds, in percent, that a request meets a fault. */
const FAULT_PERCENT = 25

/** mulberry32: the same seed, the same faults. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

const FAULTS: ((request: SeenRequest) => Fault)[] = [
  () => ({ kind: 'status', status: 502 }),
  () => ({ kind: 'status', status: 503, headers: { 'retry-after': '9999' } }),
  () => ({ kind: 'status', status: 500, body: { result: 500, response: { error: 'INTERNAL_ERROR' } } }),
  () => ({ kind: 'reset' }),
  () => ({ kind: 'reset mid-reply' }),
  () => ({ kind: 'slow', ms: 60 }),
  () => ({ kind: 'text', text: '{"result":' }),
  () => ({ kind: 'huge', bytes: 300_000 }),
  () => ({ kind: 'reply', reply: { result: 200, response: { data: { valid: false, message: 'not today' } } } }),
  () => ({ kind: 'reply', reply: { result: 400, response: false, extra: 'Invalid block reference' } }),
  () => ({ kind: 'crash after accepting' })
]

/** Faults on the wire, and between requests what happens to a chain by itself. */
function misbehave({ node }: Stage, random: () => number): void {
  const { ledger } = node
  const elsewhere = new Map<string, WireTransaction>()
  node.fault = (request) => {
    if (random() < 0.03) for (const each of ledger.mempool.splice(0)) elsewhere.set(each.hash, each) // others may not forget
    if (random() < 0.03) {
      ledger.mempool.push(...[...elsewhere.values()].filter(({ hash }) => ledger.stateOf(hash).state === 'unknown'))
      elsewhere.clear()
    }
    if (random() < 0.02) ledger.mine()
    if (random() < 0.01) ledger.fail()
    if (random() < 0.01) ledger.foreign++ // somebody else pays from the same account
    ledger.nonceLag = random() < 0.2 ? Math.floor(random() * 3) : 0
    if (ledger.enforcesNonces && random() < 0.005) ledger.osDenomination = true // only one nonce makes that safe
    if (random() * 100 >= FAULT_PERCENT) return undefined
    return FAULTS[Math.floor(random() * FAULTS.length)]!(request)
  }
}

/** Whatever goes wrong on the way, so many checkpoints are anchored exactly once each. */
export async function anchorsOnce(t: TestContext, enforcesNonces: boolean, checkpoints: number): Promise<void> {
  const seed = Number(process.env.DEMOS_RELAY_FAULT_SEED ?? Date.now() & 0x7fffffff)
  t.diagnostic(`seed ${seed}`)
  const random = randomFrom(seed)
  const scene = await stage(t)
  scene.node.ledger.enforcesNonces = enforcesNonces
  misbehave(scene, random)
  const limits = { transport: { deadlineMs: 40, retries: 1 }, patience: { settleMs: 60_000 } }
  let anchor = scene.start(limits)
  let tries = 0

  const references = new Map<string, number>()
  for (let size = 1; size <= checkpoints; ) {
    assert.ok(++tries < checkpoints * 50, `seed ${seed}: no end at checkpoint ${size}`)
    if (random() < 0.2) anchor = scene.start(limits) // a process that was restarted
    try {
      references.set((await anchor.anchor(checkpoint(size))).reference, size)
      size++
    } catch (error) {
      assert.ok(error instanceof DemosRpcError, `seed ${seed}: ${error}`)
      scene.node.restart()
    }
  }

  const counts = [...scene.node.ledger.anchored().values()]
  assert.deepEqual([counts.length, Math.max(...counts)], [checkpoints, 1], `seed ${seed}`)
  const included = scene.node.ledger.included.map(({ transaction }) => transaction.hash)
  assert.deepEqual([...references.keys()].sort(), included.sort(), `seed ${seed}`)
  t.diagnostic(`${tries} tries, ${scene.node.requests.length} requests, ${scene.store.rows.length} transactions signed`)
}
