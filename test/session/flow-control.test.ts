// When the frames of a socket are handled, when they are kept, and when it is not read at all.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { FlowControl, type HoldReason } from '../../src/session/flow-control.ts'

const LIMIT_BYTES = 65_536

const REASONS: readonly HoldReason[] = ['answer', 'in-flight', 'refused', 'writer', 'unwritten', 'rate', 'stopping']

/** Why a flow is held now. */
const reasonsOf = (flow: FlowControl) => REASONS.filter((reason) => flow.isHeldFor(reason))

/** A flow whose frames are noted; `onFrame` runs while a frame is handled. */
function flowOf(onFrame: (name: string, flow: FlowControl) => void = () => {}) {
  const handled: string[] = []
  const socket = { isPaused: false, pauses: 0 }
  const budget = { isUsedUp: false }
  const rests = () => {
    if (budget.isUsedUp) flow.hold('rate')
    return budget.isUsedUp
  }
  const handle = (data: Buffer) => {
    const name = data.subarray(0, 8).toString().trimEnd()
    handled.push(name)
    onFrame(name, flow)
  }
  const flow: FlowControl = new FlowControl(
    { handle, inTurn: setImmediate, rests },
    {
      pause: () => Object.assign(socket, { isPaused: true, pauses: socket.pauses + 1 }),
      resume: () => Object.assign(socket, { isPaused: false })
    }
  )
  /** A frame that begins with its name and is so long. */
  const come = (name: string, bytes = 8) => flow.receive(Buffer.alloc(bytes, name.padEnd(8)), false)
  return { flow, socket, budget, handled, come }
}

test('a frame is handled at once while there is no reason to hold it', () => {
  const { handled, come } = flowOf()
  come('a')
  come('b')
  assert.deepEqual(handled, ['a', 'b'])
})

test('frames are kept until the last reason is gone, then handled in their order', () => {
  const { flow, handled, come } = flowOf()
  flow.hold('answer')
  flow.hold('writer')
  for (const name of ['a', 'b']) come(name)
  flow.release('answer')
  assert.deepEqual([handled, reasonsOf(flow)], [[], ['writer']])
  flow.release('writer')
  assert.deepEqual([handled, flow.isHeld], [['a', 'b'], false])
})

test('a reason is one, however often it is given, and releasing one that is not there changes nothing', () => {
  const { flow, handled, come } = flowOf()
  flow.hold('refused')
  flow.hold('refused')
  come('a')
  flow.release('in-flight')
  assert.deepEqual(handled, [])
  flow.release('refused')
  assert.deepEqual(handled, ['a'])
})

test('of a piece with many frames some are handled at once, the others in later turns, in their order', async () => {
  const { flow, handled, come } = flowOf()
  const names = Array.from({ length: 40 }, (_, n) => `${n}`)
  for (const name of names) come(name)
  assert.deepEqual(handled, names.slice(0, 16))
  flow.pieceEnded()
  come('next')
  assert.equal(handled.length, 16, 'what waits goes first')
  await turn()
  assert.deepEqual(handled, names.slice(0, 32))
  await turn()
  assert.deepEqual(handled, [...names, 'next'])
  flow.pieceEnded()
  come('last')
  assert.equal(handled.at(-1), 'last')
})

test('a kept frame that gives a new reason stops those behind it', () => {
  const { flow, handled, come } = flowOf((name, flow) => {
    if (name === 'b') flow.hold('answer')
  })
  flow.hold('writer')
  for (const name of ['a', 'b', 'c']) come(name)
  flow.release('writer')
  assert.deepEqual(handled, ['a', 'b'])
  come('d')
  assert.deepEqual(handled, ['a', 'b'], 'a new frame does not overtake the kept one')
  flow.release('answer')
  assert.deepEqual(handled, ['a', 'b', 'c', 'd'])
})

test('a kept frame that takes its own reason back is followed by the next one, once', () => {
  const { flow, handled, come } = flowOf((name, flow) => {
    if (name !== 'a') return
    flow.hold('answer')
    flow.release('answer')
  })
  flow.hold('writer')
  for (const name of ['a', 'b', 'c']) come(name)
  flow.release('writer')
  assert.deepEqual(handled, ['a', 'b', 'c'])
})

test('a frame that comes while kept ones are handled waits behind them', () => {
  const { flow, handled, come } = flowOf((name) => {
    if (name === 'a') come('c')
  })
  flow.hold('writer')
  for (const name of ['a', 'b']) come(name)
  flow.release('writer')
  assert.deepEqual(handled, ['a', 'b', 'c'])
})

test('a kept frame whose handling throws is not handled again, and those behind it are kept', () => {
  const { flow, handled, come } = flowOf((name) => {
    if (name === 'a') throw new Error('a defect')
  })
  flow.hold('answer')
  for (const name of ['a', 'b']) come(name)
  assert.throws(() => flow.release('answer'), /a defect/)
  flow.hold('answer')
  flow.release('answer')
  assert.deepEqual(handled, ['a', 'b'])
})

test('past the bytes of one read the socket is paused, until the session is held no more', () => {
  const { flow, socket, handled, come } = flowOf()
  flow.hold('in-flight')
  come('a', LIMIT_BYTES - 600) // and 256 for each frame
  assert.deepEqual([socket.isPaused, flow.isPaused], [false, false])
  come('b', 88)
  assert.deepEqual([socket.isPaused, flow.isPaused], [true, true])
  come('c')
  assert.equal(socket.pauses, 1)
  flow.release('in-flight')
  assert.deepEqual([socket.isPaused, flow.isPaused, handled], [false, false, ['a', 'b', 'c']])
})

test('of very many small frames some are handled at once, the others in turn, in their order', async () => {
  const { flow, handled, come } = flowOf()
  flow.hold('refused')
  for (let n = 0; n < 100; n++) come(`${n}`)
  flow.release('refused')
  assert.ok(handled.length < 100)
  come('last')
  while (handled.length < 101) await new Promise(setImmediate)
  assert.deepEqual(handled, [...Array.from({ length: 100 }, (_, n) => `${n}`), 'last'])
})

test('bytes that were handled do not count when the session is held again', () => {
  const { flow, socket, come } = flowOf()
  for (let round = 0; round < 3; round++) {
    flow.hold('answer')
    come('a', LIMIT_BYTES / 2)
    assert.equal(socket.isPaused, false)
    flow.release('answer')
  }
})

test('a socket stays paused while a kept frame has given a new reason', () => {
  const { flow, socket, come } = flowOf((name, flow) => {
    if (name === 'a') flow.hold('answer')
  })
  flow.hold('writer')
  come('a', LIMIT_BYTES)
  flow.release('writer')
  assert.equal(socket.isPaused, true)
  flow.release('answer')
  assert.equal(socket.isPaused, false)
})

test('a server that stops does not read the socket from then on, whatever else is released', () => {
  const { flow, socket, handled, come } = flowOf()
  flow.hold('answer')
  flow.hold('stopping')
  assert.equal(socket.isPaused, true)
  come('a') // it had been read before
  flow.release('answer')
  assert.deepEqual([socket.isPaused, handled], [true, []])
})

test('to learn whether the peer lives a paused socket is read, and paused again by the next frame', () => {
  const { flow, socket, handled, come } = flowOf()
  flow.hold('answer')
  come('a', LIMIT_BYTES)
  flow.listen()
  assert.equal(socket.isPaused, false)
  come('b')
  assert.deepEqual([socket.isPaused, handled], [true, []])
})

test('once closed nothing that was kept is handled, and the socket is read for the close frame', () => {
  const { flow, socket, handled, come } = flowOf()
  flow.hold('answer')
  come('a', LIMIT_BYTES)
  flow.close()
  assert.equal(socket.isPaused, false)
  flow.release('answer')
  assert.deepEqual(handled, [])
})

test('a kept frame that closes the session is the last one handled', () => {
  const { flow, handled, come } = flowOf((name, flow) => {
    if (name === 'a') flow.close()
  })
  flow.hold('answer')
  for (const name of ['a', 'b']) come(name)
  flow.release('answer')
  assert.deepEqual(handled, ['a'])
})

test('what was kept behind an answer waits for the budget, frame by frame', () => {
  const { flow, budget, handled, come } = flowOf((_name, flow) => {
    budget.isUsedUp = true // each of them uses it up
    flow.hold('answer')
  })
  for (const name of ['a', 'b', 'c']) come(name)
  flow.release('answer')
  assert.deepEqual([handled, reasonsOf(flow)], [['a'], ['rate']])
  budget.isUsedUp = false
  flow.release('rate')
  assert.deepEqual([handled, reasonsOf(flow)], [['a', 'b'], ['answer']])
  flow.release('answer')
  assert.deepEqual([handled, reasonsOf(flow)], [['a', 'b'], ['rate']])
})
