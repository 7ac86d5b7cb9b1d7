import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzz } from './fuzz.ts'

test('20,000 generated frames and requests: each is answered as documented, and neighbours lose nothing', async (t) => {
  const [frames, seed] = [20_000, Date.now() & 0x7fffffff]
  t.diagnostic(`npm run fuzz -- --frames ${frames} --seed ${seed}`)
  const { problems, said, seconds } = await fuzz(t, { frames, seed })
  t.diagnostic(`${seconds.toFixed(1)} s, ${said} messages of the pairs`)
  assert.deepEqual(problems, [])
  assert.ok(said > 0)
})
