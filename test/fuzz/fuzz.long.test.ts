import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzz } from './fuzz.ts'

/** As many as two cores answer in about four minutes. `npm run fuzz -- --frames N` sends more. */
const FRAMES = Number(process.env.FUZZ_FRAMES ?? 400_000)

test('hundreds of thousands of generated frames: each is answered as documented, and neighbours lose nothing', async (t) => {
  const seed = Date.now() & 0x7fffffff
  t.diagnostic(`npm run fuzz -- --frames ${FRAMES} --seed ${seed}`)
  const { problems, said, seconds } = await fuzz(t, { frames: FRAMES, seed })
  t.diagnostic(`${seconds.toFixed(1)} s, ${said} messages of the pairs`)
  assert.deepEqual(problems, [])
  assert.ok(said > 0)
})
