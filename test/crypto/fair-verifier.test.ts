// Whose proof is checked next, and what is not checked again.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFairVerifier } from '../../src/crypto/fair-verifier.ts'
import type { Proof, Verdict } from '../../src/crypto/proof.ts'

function proofOf(text: string): Proof {
  return { algorithm: 'ml-dsa', publicKey: Buffer.from('key'), message: Buffer.from(text), signature: Buffer.from('s') }
}

/** A verifier that checks one at once and answers when the test says so. */
function fair({ queueLength = 100 } = {}) {
  const checked: string[] = []
  const answers: ((verdict: Verdict) => void)[] = []
  const slow = {
    verify: ({ message }: Proof) => {
      checked.push(Buffer.from(message).toString())
      return new Promise<Verdict>((resolve) => void answers.push(resolve))
    },
    close: async () => {}
  }
  const verifier = createFairVerifier(slow, { atOnce: { ed25519: 1, others: 1 }, queueLength })
  const answer = async (verdict: Verdict = 'valid') => {
    answers.shift()!(verdict)
    await new Promise(setImmediate)
  }
  return { verifier, checked, answer, answers }
}

test('addresses take turns: one that asks for very much waits for itself', async () => {
  const { verifier, checked, answer } = fair()
  for (let n = 0; n < 50; n++) void verifier.verify(proofOf(`flood ${n}`), 'a')
  const victim = verifier.verify(proofOf('victim'), 'b')
  await answer()
  await answer()
  assert.deepEqual(checked.slice(0, 3), ['flood 0', 'flood 1', 'victim'])
  await answer()
  assert.equal(await victim, 'valid')
})

test('when the queue is full it is the longest line that gives way', async () => {
  const { verifier, checked, answer, answers } = fair({ queueLength: 5 })
  const flood = Array.from({ length: 6 }, (_, n) => verifier.verify(proofOf(`flood ${n}`), 'a'))
  const victim = verifier.verify(proofOf('victim'), 'b')
  assert.equal(await flood[5], 'busy')
  while (answers.length > 0) await answer()
  assert.equal(await victim, 'valid')
  assert.deepEqual(checked, ['flood 0', 'flood 1', 'victim', 'flood 2', 'flood 3', 'flood 4'])
})

test('a proof that held is not checked again; one that failed is', async () => {
  const { verifier, checked, answer } = fair()
  const first = verifier.verify(proofOf('good'), 'a')
  await answer('valid')
  assert.equal(await first, 'valid')
  assert.equal(await verifier.verify(proofOf('good'), 'b'), 'valid')
  const bad = verifier.verify(proofOf('bad'))
  await answer('invalid')
  assert.equal(await bad, 'invalid')
  void verifier.verify(proofOf('bad'))
  assert.deepEqual(checked, ['good', 'bad', 'bad'])
})

test('the same proof from very many sockets is checked once', async () => {
  const { verifier, checked, answer } = fair()
  const all = Array.from({ length: 90 }, () => verifier.verify(proofOf('same'), 'a'))
  await answer('valid')
  assert.deepEqual(new Set(await Promise.all(all)), new Set(['valid']))
  assert.equal(checked.length, 1)
})

test('proofs that differ in one part only are different proofs', async () => {
  const { verifier, checked, answer } = fair()
  const good = verifier.verify({ ...proofOf('ab'), signature: Buffer.from('c') })
  await answer('valid')
  await good
  void verifier.verify({ ...proofOf('a'), signature: Buffer.from('bc') })
  assert.deepEqual(checked, ['ab', 'a'])
})

test('nothing is valid after the close, not even what is known', async () => {
  const { verifier, answer } = fair()
  const first = verifier.verify(proofOf('good'))
  await answer('valid')
  await first
  await verifier.close()
  assert.equal(await verifier.verify(proofOf('good')), 'busy')
})
