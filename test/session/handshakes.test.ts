// Handshakes share the turns of the event loop; when too many come at once, those that would wait too long come back later.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Handshakes } from '../../src/session/handshakes.ts'

const turn = () => new Promise((resolve) => setImmediate(resolve))

/** Handshakes by a clock that the test moves; what became of each, in order. */
function handshakesOf() {
  const time = { now: 1_000 }
  const handshakes = new Handshakes(() => time.now)
  const gone: string[] = []
  let addresses = 0
  const refused: number[] = []
  /** Without an address: each from one of its own. */
  const come = (count: number, who = 'quiet', address?: string) => {
    for (let n = 0; n < count; n++) {
      void handshakes.turn(address ?? `${++addresses}`, who !== 'noisy').then((seconds) => {
        if (seconds === undefined) gone.push(who)
        else refused.push(seconds)
      })
    }
  }
  /** Turns of the event loop that take so long. */
  const turns = async (count: number, ms: number) => {
    for (let n = 0; n < count; n++) {
      time.now += ms
      await turn()
    }
  }
  return { handshakes, gone, refused, come, turns, time }
}

test('of many handshakes at once some go on in each turn, those from quiet addresses first', async () => {
  const { gone, come, turns } = handshakesOf()
  come(20, 'noisy')
  come(1)
  await Promise.resolve()
  assert.equal(gone.length, 8)
  await turns(1, 1)
  assert.deepEqual(gone.slice(8), ['quiet', ...Array<string>(7).fill('noisy')])
  await turns(1, 1)
  assert.equal(gone.length, 21)
})

test('addresses take turns, so that one with many keeps no other waiting', async () => {
  const { gone, come, turns } = handshakesOf()
  come(100, 'many', 'a')
  come(100, 'more', 'b')
  await turns(1, 1)
  gone.length = 0
  come(1, 'one', 'c')
  come(1, 'other', 'd')
  await turns(1, 1)
  assert.deepEqual(gone, ['many', 'more', 'one', 'other', 'many', 'more', 'many', 'more'])
})

test('while turns take long fewer go on in each, but always some', async () => {
  const { handshakes, gone, come, turns } = handshakesOf()
  come(500)
  await turns(1, 40)
  const inTurns: number[] = []
  for (let before = gone.length, n = 0; n < 12; n++, before = gone.length) {
    await turns(1, n < 8 ? 40 : 5)
    inTurns.push(gone.length - before)
  }
  assert.deepEqual(inTurns, [6, 5, 4, 3, 2, 2, 2, 2, 3, 4, 5, 6])
  assert.ok(handshakes.waiting > 400)
})

test('a storm is taken in the order in which it comes, and nobody of a thousand is refused', async () => {
  const { handshakes, gone, refused, come, turns } = handshakesOf()
  come(1_000)
  await turns(200, 20)
  assert.deepEqual([gone.length, refused, handshakes.waiting], [1_000, [], 0])
})

test('who has waited for five seconds is refused, and each of them is told to come back a little later', async () => {
  const { handshakes, gone, refused, come, turns } = handshakesOf()
  come(10_000)
  await turns(100, 51) // two in a turn, as long turns allow
  const before = gone.length
  assert.ok(before < 300 && refused.length > 0, `${before} went on, ${refused.length} were refused`)
  await turns(1_000, 1)
  assert.equal(handshakes.waiting, 0)
  assert.equal(gone.length + refused.length, 10_000)
  assert.deepEqual(
    refused,
    refused.toSorted((a, b) => a - b)
  )
  assert.ok(refused[0] === 1 && refused.at(-1)! > 5, `from ${refused[0]} to ${refused.at(-1)} s`)
})

test('who comes back when it was told to gets in', async () => {
  const { gone, refused, come, turns, time } = handshakesOf()
  come(3_000)
  await turns(100, 51)
  await turns(300, 1)
  const appointments = [...refused]
  assert.ok(appointments.length > 1_000)
  refused.length = 0
  gone.length = 0
  const began = time.now
  for (const seconds of appointments) {
    const wait = began + seconds * 1_000 - time.now
    if (wait > 0) await turns(Math.ceil(wait / 20), 20)
    come(1)
  }
  await turns(200, 20)
  assert.deepEqual([gone.length, refused], [appointments.length, []])
})
