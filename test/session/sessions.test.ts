// Every open socket of a process: who is let in, who is looked at, and how all of them are closed.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { answer } from '../../src/session/effect.ts'
import type { SessionMember } from '../../src/session/session.ts'
import { Sessions, type SessionsLimits } from '../../src/session/sessions.ts'
import { FakeSocket, FakeStream } from '../helpers/fake-socket.ts'
import { stopTime } from '../helpers/stop-time.ts'

const LIMITS: SessionsLimits = {
  ...{
    connections: 100,
    unregisteredPerAddress: 2,
    perAddress: 50,
    rates: { socket: 0, address: 0, identity: 0, network: 0 }
  },
  ...{ heartbeatMs: 30_000, answerMs: 10_000, stallMs: 60_000 }
}

class FakeMember implements SessionMember {
  readonly network = 'signaling'
  readonly peer = 'alice'
  readonly waitingSince = undefined
  readonly ends: boolean[] = []
  pong(): void {}
  drained(): void {}
  tick(): void {}
  ended(isClean: boolean): void {
    this.ends.push(isClean)
  }
}

function sessionsOf(t: TestContext, limits: Partial<SessionsLimits> = {}) {
  const time = stopTime(t)
  const closed: boolean[] = []
  const sessions = new Sessions<FakeMember>({ ...LIMITS, ...limits }, (_session, isClean) => void closed.push(isClean))
  t.after(() => sessions.clock.close())
  const hooks = sessions.hooksOf({
    limits: {
      ...{ framesInFlight: 4, refusedFramesPerSecond: 50 },
      ...{ registrationDeadlineMs: 15_000, messageDeadlineMs: 30_000 }
    },
    ...{ frameReceived: () => {}, frameRefused: () => {}, slowed: () => {}, failed: () => {} }
  })
  const open = (address = '::1') => {
    const socket = new FakeSocket()
    const origin = { stream: new FakeStream(socket).asStream(), address, isBrowser: false }
    const protocol = { name: 'signaling' as const, handle: answer, refuse: () => answer('no') }
    return { session: sessions.open(socket.asSocket(), origin, protocol, hooks), socket }
  }
  return { sessions, closed, open, ...time }
}

test('past the limit of connections nobody is let in until one is closed', (t) => {
  const { sessions, open } = sessionsOf(t, { connections: 2 })
  const { socket } = open('a')
  open('b')
  assert.equal(sessions.refusal('c'), 'full')
  socket.closed(1000)
  assert.deepEqual([sessions.refusal('c'), sessions.size], [undefined, 1])
})

test('an address has so many unregistered sockets; one that registers or closes makes room, once', (t) => {
  const { sessions, open } = sessionsOf(t)
  const [one, other] = [open('a'), open('a')]
  assert.deepEqual([sessions.refusal('a'), sessions.refusal('b')], ['unregistered', undefined])
  one.session.register(new FakeMember())
  assert.equal(sessions.refusal('a'), undefined)
  open('a')
  one.socket.closed(1000) // it was registered: it held no place any more
  assert.equal(sessions.refusal('a'), 'unregistered')
  other.socket.closed(1006)
  assert.equal(sessions.refusal('a'), undefined)
})

test('a member hears of the end of its socket, and whether it was clean', (t) => {
  const { open, closed } = sessionsOf(t)
  for (const [code, isClean] of [
    [1000, true],
    [1006, false]
  ] as const) {
    const { session, socket } = open()
    const member = new FakeMember()
    session.register(member)
    socket.closed(code)
    assert.deepEqual(member.ends, [isClean])
  }
  assert.deepEqual(closed, [true, false])
})

test('every socket is looked at once a second, by a clock that stands still while the process does', async (t) => {
  const { open, stall, advance } = sessionsOf(t)
  const { session, socket } = open()
  session.register(new FakeMember())
  stall(3_600_000)
  for (let seconds = 0; seconds <= 30; seconds++) await advance(1_000)
  assert.deepEqual(socket.sent, [])
  await advance(1_000)
  assert.deepEqual(socket.sent, ['ping'])
})

test('a server that stops lets nobody in, reads no frame, and answers what is under way', (t) => {
  const { sessions, open } = sessionsOf(t)
  const { socket } = open()
  sessions.stopReading()
  socket.receive('late')
  assert.deepEqual([sessions.refusal('b'), socket.isPaused, socket.sent], ['full', true, []])
})

test('all sockets are closed with 1001, and those that do not follow are cut off', async (t) => {
  const { sessions, open, advance } = sessionsOf(t)
  const [polite, deaf] = [open('a'), open('b')]
  const isClosed = sessions.closeAll(5_000)
  assert.deepEqual([polite.socket.closeCode, deaf.socket.closeCode, sessions.refusal('c')], [1001, 1001, 'full'])
  polite.socket.closed(1001)
  await advance(4_999)
  assert.equal(deaf.socket.isTerminated, false)
  await advance(1)
  await isClosed
  assert.deepEqual([polite.socket.isTerminated, deaf.socket.isTerminated, sessions.size], [false, true, 0])
})

test('where no socket is open, closing all of them is over at once', async (t) => {
  const { sessions } = sessionsOf(t)
  await sessions.closeAll(5_000)
  assert.equal(sessions.refusal('a'), 'full')
})
