import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import Fastify from 'fastify'
import health from '../../plugins/health.ts'
import metrics from '../../plugins/metrics.ts'
import proofVerification from '../../plugins/proof-verification.ts'
import { createProofVerifier, type Proof, type ProofVerifier, type Verdict } from '../../src/crypto/verifier.ts'
import { ownFile } from '../helpers/own-program.ts'
import { until } from '../helpers/wait.ts'
import { registrationProof } from './vectors.ts'

const mlDsa = registrationProof('mldsa-real-client-A')
const ed25519 = registrationProof('ed25519-ascii')
const falcon = registrationProof('falcon-ascii')

type Options = Parameters<typeof createProofVerifier>[0]

function verifierFor(t: TestContext, options: Partial<Options> = {}): ProofVerifier {
  const verifier = createProofVerifier({ workers: 1, queueLength: 512, mlDsaInWorker: true, ...options })
  t.after(() => verifier.close())
  return verifier
}

function count(verdicts: Verdict[]): Record<Verdict, number> {
  const counts = { valid: 0, invalid: 0, busy: 0 }
  for (const verdict of verdicts) counts[verdict] += 1
  return counts
}

test('a proof past the full queue is busy at once, while the others complete', async (t) => {
  const verifier = verifierFor(t, { queueLength: 3 })
  const waiting = [1, 2, 3, 4].map(() => verifier.verify(mlDsa)) // one with the worker, three in the queue
  const late = verifier.verify(mlDsa)
  assert.equal(await Promise.race([late, ...waiting]), 'busy')
  assert.deepEqual(count(await Promise.all(waiting)), { valid: 4, invalid: 0, busy: 0 })
  assert.equal(await verifier.verify(mlDsa), 'valid')
})

test('Ed25519 proofs are bounded too, apart from the queue of the workers', async (t) => {
  const verifier = verifierFor(t, { queueLength: 2 })
  const inWorkers = [1, 2, 3].map(() => verifier.verify(falcon))
  const verdicts = await Promise.all([1, 2, 3, 4].map(() => verifier.verify(ed25519)))
  assert.deepEqual(verdicts, ['valid', 'valid', 'busy', 'busy'])
  assert.deepEqual(await Promise.all(inWorkers), ['valid', 'valid', 'valid'])
  assert.equal(await verifier.verify(ed25519), 'valid')
})

test('all three algorithms are checked side by side, each answer to its own proof', async (t) => {
  const verifier = verifierFor(t, { workers: 2 })
  const proofs: Proof[] = []
  const expected: Verdict[] = []
  for (let index = 0; index < 60; index++) {
    const proof = [mlDsa, ed25519, falcon][index % 3]!
    const isWrong = index % 4 === 0
    proofs.push(isWrong ? { ...proof, message: Buffer.from(`another ${index}`) } : proof)
    expected.push(isWrong ? 'invalid' : 'valid')
  }
  assert.deepEqual(await Promise.all(proofs.map((proof) => verifier.verify(proof))), expected)
})

test('proofs are checked in the order they came', async (t) => {
  const verifier = verifierFor(t, { workers: 1 })
  const order: number[] = []
  await Promise.all(
    Array.from({ length: 20 }, async (_, n) => {
      await verifier.verify(mlDsa)
      order.push(n)
    })
  )
  assert.deepEqual(
    order,
    Array.from({ length: 20 }, (_, n) => n)
  )
})

test('an algorithm nobody knows is invalid', async (t) => {
  const verifier = verifierFor(t)
  for (const algorithm of ['constructor', '__proto__', 'rsa', ''] as unknown as Proof['algorithm'][]) {
    assert.equal(await verifier.verify({ ...ed25519, algorithm }), 'invalid')
  }
})

test('the arrays of a proof stay with their owner', async (t) => {
  const verifier = verifierFor(t)
  assert.equal(await verifier.verify(mlDsa), 'valid')
  assert.equal(mlDsa.signature.length, 3_309)
  assert.equal(mlDsa.publicKey.buffer.byteLength >= 1_952, true)
})

test('the event loop goes on while 200 ML-DSA proofs are checked', async (t) => {
  const verifier = verifierFor(t)
  let ticks = 0
  const timer = setInterval(() => ticks++, 5)
  const verdicts = await Promise.all(Array.from({ length: 200 }, () => verifier.verify(mlDsa)))
  clearInterval(timer)
  assert.deepEqual(count(verdicts), { valid: 200, invalid: 0, busy: 0 })
  assert.ok(ticks >= 10, `only ${ticks} ticks`)
})

test('closing with proofs under way answers them all, and ends the workers', async (t) => {
  const verifier = verifierFor(t, { workers: 2 })
  await verifier.verify(mlDsa)
  const pending = [...Array.from({ length: 300 }, () => verifier.verify(mlDsa)), verifier.verify(ed25519)]
  await verifier.close()
  const counts = count(await Promise.all(pending))
  assert.equal(counts.invalid, 0)
  assert.ok(counts.busy > 0)
  assert.deepEqual(
    await Promise.all([mlDsa, ed25519, falcon].map((proof) => verifier.verify(proof))),
    Array(3).fill('busy')
  )
  await verifier.close() // a second time does no harm
})

const workerFile = pathToFileURL(ownFile('test/crypto/misbehaving-worker.ts')).href
const told = (order: string): Proof => ({ ...mlDsa, message: Buffer.from(order) })

/** Asks until a worker answers again: the replaced one has to start first. */
async function recovers(verifier: ProofVerifier): Promise<void> {
  await until('a worker answers again', async () => (await verifier.verify(told('answer'))) === 'valid', 60_000)
}

for (const order of ['throw', 'die', 'throw later']) {
  test(`a worker told to ${order} leaves its proof unanswered, and the next one is checked`, async (t) => {
    const verifier = verifierFor(t, { workerFile })
    assert.equal(await verifier.verify(told(order)), 'busy')
    await recovers(verifier)
  })
}

test('proofs that wait behind one whose worker dies are still checked', async (t) => {
  const verifier = verifierFor(t, { workerFile })
  const verdicts = await Promise.all(['answer', 'die', 'answer', 'answer'].map((order) => verifier.verify(told(order))))
  assert.deepEqual(verdicts, ['valid', 'busy', 'valid', 'valid'])
})

test('a worker that dies again and again does not stop the others', async (t) => {
  const verifier = verifierFor(t, { workerFile, workers: 2 })
  for (let round = 0; round < 5; round++) assert.equal(await verifier.verify(told('die')), 'busy')
  await recovers(verifier)
})

test('a proof without an answer in time is busy, and the worker that hangs on it is replaced', async (t) => {
  const verifier = verifierFor(t, { workerFile, answerWithinMs: 1_500 })
  await recovers(verifier)
  assert.equal(await verifier.verify(told('hang')), 'busy')
  await recovers(verifier)
})

test('a proof that waited longer than its peer does is not checked any more', async (t) => {
  const verifier = verifierFor(t, { answerWithinMs: 1 })
  assert.deepEqual(count(await Promise.all([mlDsa, mlDsa].map((proof) => verifier.verify(proof)))), {
    valid: 0,
    invalid: 0,
    busy: 2
  })
})

test('a worker that hangs does not hold up the close', async (t) => {
  const verifier = verifierFor(t, { workerFile })
  await recovers(verifier)
  const hanging = verifier.verify(told('hang'))
  await verifier.close()
  assert.equal(await hanging, 'busy')
})

test('workers that cannot even start make proofs busy, not the server fall', async (t) => {
  const verifier = verifierFor(t, {
    workerFile: new URL('./no-such-worker.ts', import.meta.url).href,
    answerWithinMs: 500
  })
  assert.deepEqual(await Promise.all([mlDsa, falcon, ed25519].map((proof) => verifier.verify(proof))), [
    'busy',
    'busy',
    'valid'
  ])
})

test('the plugin offers a verifier to the server, and closes it with the server', async () => {
  const app = Fastify()
  await app.register(health)
  await app.register(metrics)
  await app.register(proofVerification, { workers: 0, queueLength: 8 })
  assert.equal(await app.proofs.verify(mlDsa), 'valid')
  await app.close()
  assert.equal(await app.proofs.verify(mlDsa), 'busy')
})
