import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { BusyMap } from '../../src/util/busy-map.ts'
import { OWN_OPTIONS, ownFile } from '../helpers/own-program.ts'

test('it does what a Map does, in the same order, however many entries come and go', () => {
  const busy = new BusyMap<number, string>()
  const map = new Map<number, string>()
  let seed = 1
  const random = (below: number) => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed % below
  }
  for (const keys of [1, 8, 300, 5_000]) {
    for (let step = 0; step < 20_000; step++) {
      const key = random(keys)
      if (random(3) > 0) assert.equal(busy.delete(key), map.delete(key))
      else {
        busy.set(key, `${step}`)
        map.set(key, `${step}`)
      }
      const other = random(keys)
      assert.deepEqual([busy.size, busy.has(other), busy.get(other)], [map.size, map.has(other), map.get(other)])
    }
    assert.deepEqual([...busy.keys()], [...map.keys()])
  }
  for (const key of map.keys()) assert.ok(busy.delete(key))
  assert.equal(busy.size, 0)
})

test('what left it does not reach the old generation', async () => {
  const command = ['--expose-gc', ...OWN_OPTIONS, ownFile('test/util/churn.ts')]
  const { stdout } = await promisify(execFile)(process.execPath, command)
  const { map, busy } = JSON.parse(stdout) as { map: number; busy: number }
  assert.ok(busy < 2_000_000, `${busy} bytes of what left are kept`)
  assert.ok(map > 5 * busy, `a Map keeps ${map}: if it keeps no more than that, it can be used again`)
})
