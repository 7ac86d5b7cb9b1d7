import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzz } from './fuzz.ts'

/** Two cores answer them in about ten minutes, and in twice that beside other tests: CI sends fewer (.ci/run). */
const FRAMES = Number(process.env.FUZZ_FRAMES ?? 1_000_000)

test('a million generated frames: each is answered as documented, and neighbours lose nothing', async (t) => {
  const seed = Date.now() & 0x7fffffff
  t.diagnostic(`npm run fuzz -- --frames ${FRAMES} --seed ${seed}`)
  const { problems, said, seconds } = await fuzz(t, { frames: FRAMES, seed })
  t.diagnostic(`${seconds.toFixed(1)} s, ${said} messages of the pairs`)
  assert.deepEqual(problems, [])
  assert.ok(said > 0)
})
