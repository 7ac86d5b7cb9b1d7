// One socket: the order of answers, why frames wait, its states, and when it is judged to be gone.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Accounts } from '../../src/limits/accounts.ts'
import { MAX_FRAME_BYTES } from '../../src/protocol/frame.ts'
import { type Answer, answer, type Effect, later, silence } from '../../src/session/effect.ts'
import type { LivenessLimits } from '../../src/session/liveness.ts'
import { Session, type SessionLimits, type SessionMember } from '../../src/session/session.ts'
import { Turns, type Waiting } from '../../src/session/turns.ts'
import { FakeSocket, FakeStream } from '../helpers/fake-socket.ts'
import { stopTime } from '../helpers/stop-time.ts'

const LIMITS: SessionLimits = {
  ...{ framesInFlight: 4, refusedFramesPerSecond: 3 },
  ...{ registrationDeadlineMs: 15_000, messageDeadlineMs: 30_000 }
}
const LIVENESS: LivenessLimits = { heartbeatMs: 30_000, answerMs: 10_000, stallMs: 60_000 }

class FakeMember implements SessionMember {
  readonly network = 'signaling'
  readonly peer = 'alice'
  waitingSince: number | undefined
  readonly events: string[] = []
  pong(data: Buffer): void {
    this.events.push(`pong ${data}`)
  }
  drained(): void {
    this.events.push('drained')
  }
  tick(now: number): void {
    this.events.push(`tick ${now}`)
  }
  ended(): void {}
}

type Frames = Record<string, (session: Session<FakeMember>) => Effect>

/**
 * A session of a protocol in which the first word of a frame says what becomes of it: `now` is answered at once,
 * `later` when the test fills it, `promise` when the test resolves it, `no` is refused, `throw` and `reject` fail.
 * Answers are the frame itself. `frames` add to that.
 */
function open({
  limits,
  frames,
  turns = new Turns()
}: {
  limits?: Partial<SessionLimits>
  frames?: Frames
  turns?: Turns
} = {}) {
  const meter = new Accounts({ socket: 0, address: 0, identity: 0, network: 0 }).meter('::1')
  const socket = new FakeSocket()
  const stream = new FakeStream(socket)
  const fed: string[] = []
  stream.on('data', (piece: Buffer) => fed.push(String(piece))) // the listener of the WebSocket layer
  const clock = { now: 0 }
  const handled: string[] = []
  const [filled, resolved] = [new Map<string, (answer: Answer) => void>(), new Map<string, (effect: Effect) => void>()]
  const heard = { bytes: 0, refused: [] as string[], failed: [] as string[], registered: 0, closed: [] as boolean[] }
  const effectOf = (text: string, session: Session<FakeMember>): Effect => {
    handled.push(text)
    const word = text.split(' ')[0]!
    const own = frames?.[word]
    if (own !== undefined) return own(session)
    if (word === 'later') return later((done) => void filled.set(text, done))
    if (word === 'promise')
      return new Promise((resolve) => void resolved.set(text, resolve as (effect: Effect) => void))
    if (word === 'no') return { frame: text, refusal: 'INVALID_MESSAGE' }
    if (word === 'throw') throw new Error(text)
    return word === 'reject' ? Promise.reject(new Error(text)) : answer(text)
  }
  const session: Session<FakeMember> = new Session(
    socket.asSocket(),
    { stream: stream.asStream(), address: '::1', isBrowser: false, meter },
    {
      name: 'signaling',
      handle: effectOf,
      refuse: (what, data) => ({ frame: `${what} ${data.length}`, refusal: what })
    },
    {
      limits: { ...LIMITS, ...limits },
      turns,
      quietAnswered: () => {},
      clock: () => clock.now,
      frameReceived: (bytes) => {
        heard.bytes += bytes
      },
      slowed: () => {},
      frameRefused: (code) => void heard.refused.push(code),
      failed: (error) => void heard.failed.push((error as Error).message),
      registered: () => {
        heard.registered += 1
      },
      closed: (_session, isClean) => void heard.closed.push(isClean)
    }
  )
  const come = (...texts: string[]) => {
    for (const text of texts) socket.receive(text)
  }
  const fill = (text: string, given = answer(text)) => filled.get(text)!(given)
  const resolve = async (text: string, effect: Effect = answer(text)) => {
    resolved.get(text)!(effect)
    await turn()
  }
  const tick = (now: number) => {
    clock.now = now
    session.tick(now, LIVENESS)
  }
  const member = new FakeMember()
  return { session, socket, stream, fed, clock, handled, heard, member, come, fill, resolve, tick }
}

/** The same, registered. */
function join(options: Parameters<typeof open>[0] = {}) {
  const all = open(options)
  all.session.register(all.member)
  return all
}

test('answers leave in the order in which their frames came, whatever they wait for', () => {
  const { socket, come, fill } = open()
  come('later 1', 'later 2', 'now 3')
  fill('later 2')
  assert.deepEqual(socket.sent, [])
  fill('later 1')
  assert.deepEqual(socket.sent, ['later 1', 'later 2', 'now 3'])
})

test('a silent answer keeps its place and says nothing', () => {
  const { socket, come, fill } = open()
  come('later 1', 'now 2')
  fill('later 1', silence)
  assert.deepEqual(socket.sent, ['now 2'])
})

test('what follows an answer runs once it is written, also when nothing is said', () => {
  const sent: string[][] = []
  const { socket, come, fill } = open()
  come('later 1', 'later 2')
  fill('later 2', { frame: undefined, after: () => sent.push([...socket.sent]) })
  assert.equal(sent.length, 0)
  fill('later 1', { frame: 'first', after: () => sent.push([...socket.sent]) })
  assert.deepEqual(sent, [['first'], ['first']])
})

test('frames behind one that is answered by a promise wait for it; frames behind a later answer do not', async () => {
  const { handled, socket, come, fill, resolve } = open()
  come('later 1', 'promise 2', 'now 3')
  assert.deepEqual(handled, ['later 1', 'promise 2'])
  await resolve('promise 2')
  assert.deepEqual(handled, ['later 1', 'promise 2', 'now 3'])
  assert.deepEqual(socket.sent, [])
  fill('later 1')
  assert.deepEqual(socket.sent, ['later 1', 'promise 2', 'now 3'])
})

test('a promise of a later answer holds the next frames until it has begun, not until it is answered', async () => {
  const { handled, socket, come, fill, resolve } = open()
  let done = (_: Answer): void => assert.fail('it has not begun')
  come('promise 1', 'later 2')
  await resolve(
    'promise 1',
    later((given) => {
      done = given
    })
  )
  assert.deepEqual(handled, ['promise 1', 'later 2'])
  fill('later 2')
  done(answer('first'))
  assert.deepEqual(socket.sent, ['first', 'later 2'])
})

test('no more frames are under way than the limit says; the oldest answer lets the next one in', () => {
  const { handled, come, fill, session } = open({ limits: { framesInFlight: 2 } })
  come('later 1', 'later 2', 'later 3', 'later 4')
  assert.deepEqual(handled, ['later 1', 'later 2'])
  fill('later 2')
  assert.deepEqual(handled, ['later 1', 'later 2'], 'its answer waits for the first')
  fill('later 1')
  assert.deepEqual(handled, ['later 1', 'later 2', 'later 3', 'later 4'])
  assert.equal(session.isOpen, true)
})

test('after too many refusals in a second the next frames wait until it is over', async (t) => {
  const time = stopTime(t)
  const { handled, heard, come } = open()
  come('no 1', 'no 2', 'now 3', 'no 4', 'now 5')
  assert.deepEqual(handled, ['no 1', 'no 2', 'now 3', 'no 4'])
  assert.deepEqual(heard.refused, Array(3).fill('INVALID_MESSAGE'))
  await time.advance(999)
  assert.equal(handled.length, 4)
  await time.advance(1)
  assert.deepEqual(handled.slice(4), ['now 5'])
  come('no 6', 'no 7', 'now 8')
  assert.equal(handled.at(-1), 'now 8', 'they count anew')
  await time.advance(1_000)
})

test('a frame that fails for a reason of ours is answered and counted, and the next ones are handled', async () => {
  const fail = () => {
    throw new Error('begin')
  }
  const { socket, heard, come } = open({ limits: { refusedFramesPerSecond: 9 }, frames: { begin: () => later(fail) } })
  come('throw 1', 'begin  2', 'reject   3', 'now 4')
  await turn()
  // The length is that of the frame: an L2PS answer carries the requestId that is found in it.
  assert.deepEqual(socket.sent, ['internal 7', 'internal 8', 'internal 10', 'now 4'])
  assert.deepEqual(heard.failed, ['throw 1', 'begin', 'reject   3'])
  assert.deepEqual(heard.refused, Array(3).fill('internal'))
})

test('binary frames and frames that are too large or too complex are refused without being handled', () => {
  const { socket, handled, heard, come } = open({ limits: { refusedFramesPerSecond: 10 } })
  socket.receive('now 1', true)
  come('x'.repeat(MAX_FRAME_BYTES + 1))
  assert.deepEqual([handled, socket.sent], [[], ['binary 5', `too-large ${MAX_FRAME_BYTES + 1}`]])
  come('['.repeat(100_000))
  assert.equal(socket.sent.pop(), 'too-complex 100000')
  come(`now ${'é'.repeat((MAX_FRAME_BYTES - 4) / 2)}`)
  assert.equal(handled.length, 1, 'a frame of the full size')
  assert.equal(heard.bytes, 5 + MAX_FRAME_BYTES + 1 + 100_000 + MAX_FRAME_BYTES)
})

test('a connected socket is registered once', () => {
  const { session, heard, member } = open()
  assert.deepEqual([session.isOpen, session.member, session.registeredAt], [true, undefined, undefined])
  session.register(member)
  assert.deepEqual([session.isOpen, session.member, heard.registered], [true, member, 1])
  assert.ok(session.registeredAt !== undefined)
  assert.throws(() => session.register(member), /a session that is registered cannot become registered/)
})

test('a socket that is closing or closed cannot be registered, nor be closed a second time', () => {
  const { session, socket, heard, member } = open()
  session.close('goingAway')
  assert.deepEqual([session.isOpen, socket.closeCode], [false, 1001])
  assert.throws(() => session.register(member), /closing cannot become registered/)
  socket.closed(1001)
  assert.throws(() => session.register(member), /closed cannot become registered/)
  assert.throws(() => socket.closed(1001), /closed cannot become closed/)
  assert.deepEqual(heard.closed, [true])
})

test('what is behind a frame for which a socket is closed is not read; otherwise its close frame is waited for', () => {
  const [large, late] = [open(), open()]
  large.session.close('tooLarge')
  late.session.close('unregistered')
  assert.deepEqual([large.socket.isPaused, late.socket.isPaused], [true, false])
  large.session.stopReading()
  assert.equal(large.socket.isPaused, true)
})

test('the first reason to close a socket is the one that is kept, and none when the peer did it', () => {
  const [ours, theirs] = [open(), open()]
  ours.session.close('replaced')
  ours.session.close('goingAway')
  assert.equal(ours.session.closeReason, 'replaced')
  theirs.socket.closed(1000)
  theirs.session.close('goingAway')
  assert.equal(theirs.session.closeReason, undefined)
})

test('the end of a socket is clean after a closing handshake only', () => {
  for (const [code, isClean] of [
    [1000, true],
    [1005, true],
    [1006, false]
  ] as const) {
    const { socket, heard } = open()
    socket.closed(code)
    assert.deepEqual(heard.closed, [isClean], `${code}`)
  }
})

test('frames that come once a socket is closing have no effect, and answers under way are not written', async () => {
  const { session, socket, handled, come, fill, resolve } = join()
  const followed: string[] = []
  come('later 1', 'promise 2', 'now 3')
  session.close('replaced')
  come('now 4')
  fill('later 1', { frame: 'late', after: () => followed.push('late') })
  await resolve('promise 2')
  session.push('a message')
  session.notify(Buffer.from('news'))
  assert.deepEqual([handled, socket.sent], [['later 1', 'promise 2'], []])
  assert.deepEqual(followed, ['late'], 'what was carried out is followed up')
})

test('a server that stops reads no further frame, and answers those under way', () => {
  const { session, socket, handled, come, fill } = open()
  come('later 1')
  session.stopReading()
  come('now 2')
  fill('later 1')
  assert.deepEqual([handled, socket.sent, socket.isPaused], [['later 1'], ['later 1'], true])
})

test('a full socket is not read, and its member hears when there is room again', () => {
  const { session, socket, stream, handled, member, come } = join()
  socket.bufferedAmount = 2 ** 21
  session.push('a message')
  come('now 1')
  session.notify(Buffer.from('news'))
  assert.deepEqual([handled, socket.sent], [[], ['a message']], 'nor is it told what its peer can do without')
  socket.bufferedAmount = 0
  stream.emit('drain')
  assert.deepEqual([handled, member.events], [['now 1'], ['drained']])
  session.notify(Buffer.from('news'))
  assert.deepEqual(socket.sent, ['a message', 'now 1', 'bytes 4'])
})

test('whoever writes a message hears that its bytes were handed over', () => {
  const { session, socket } = join()
  const written: string[] = []
  session.push('text', () => written.push('text'))
  session.push(Buffer.from('bytes'), () => written.push('bytes'))
  for (const tell of socket.written) tell?.()
  assert.deepEqual(written, ['text', 'bytes'])
})

test('every pong reaches the member, and each second the time', () => {
  const { socket, member, tick } = join()
  socket.pong(Buffer.from('x'))
  tick(1_000)
  assert.deepEqual(member.events, ['pong x', 'tick 1000'])
})

test('a socket that was silent is pinged, once', () => {
  const { socket, tick } = join()
  tick(30_000)
  assert.deepEqual(socket.sent, [])
  tick(30_001)
  tick(31_000)
  assert.deepEqual(socket.sent, ['ping'])
})

test('whatever the peer sends puts off the next ping', () => {
  const { socket, come, tick, clock } = join()
  clock.now = 20_000
  come('now 1')
  tick(50_000)
  clock.now = 50_000
  socket.pong()
  tick(80_000)
  assert.deepEqual(socket.sent, ['now 1'])
  tick(80_001)
  assert.deepEqual(socket.sent, ['now 1', 'ping'])
})

const isClosed = ({ session, socket }: ReturnType<typeof open>) =>
  session.closeReason === 'unresponsive' && socket.closeCode === 4002 && socket.isTerminated

test('a socket from which nothing came for ten seconds after a ping is closed and cut off', () => {
  const all = join()
  all.tick(30_001)
  all.tick(40_001)
  assert.equal(all.session.isOpen, true)
  all.tick(40_002)
  assert.equal(isClosed(all), true)
  assert.deepEqual(all.heard.closed, [false])
})

test('a ping that is sent while another one is unanswered gives the peer no more time', () => {
  const all = join()
  all.tick(30_001)
  all.clock.now = 39_000
  all.session.ping(Buffer.from('behind a message'))
  all.tick(40_002)
  assert.equal(isClosed(all), true)
})

test('a pong or any frame in time keeps the socket', () => {
  for (const answers of ['pong', 'frame'] as const) {
    const all = join()
    all.tick(30_001)
    all.clock.now = 40_000
    if (answers === 'pong') all.socket.pong()
    else all.come('now 1')
    all.tick(45_000)
    assert.equal(all.session.isOpen, true, answers)
    all.tick(70_001)
    all.tick(80_002)
    assert.equal(isClosed(all), true, `${answers}, and the next ping counts anew`)
  }
})

/** Turns in which nobody is served before the test says so. */
class BusyTurns extends Turns {
  readonly waiting: Waiting[] = []
  override hasRoom(): boolean {
    return false
  }
  override wait(socket: Waiting): void {
    this.waiting.push(socket)
  }
}

test('a socket of which something waits for its turn is not taken for gone, however long that takes', () => {
  const turns = new BusyTurns()
  const all = join({ turns, limits: { messageDeadlineMs: 600_000 } })
  all.tick(30_001)
  all.stream.emit('data', Buffer.from('a pong'))
  all.tick(90_000)
  assert.equal(all.session.isOpen, true)
  assert.deepEqual(all.fed, [])
  turns.waiting[0]!.serve()
  assert.deepEqual(all.fed, ['a pong'])
  all.tick(99_000)
  all.tick(120_001)
  all.tick(130_001)
  assert.equal(all.session.isOpen, true, 'the next ping counts anew')
  all.tick(130_002)
  assert.equal(isClosed(all), true)
})

test('a message whose rest waits for its turn is not too slow', () => {
  const turns = new BusyTurns()
  const all = join({ turns })
  all.stream.emit('data', Buffer.from('half of a message'))
  turns.waiting[0]!.serve()
  all.clock.now = 1_000
  all.stream.emit('data', Buffer.from('the rest'))
  all.tick(40_000)
  assert.equal(all.session.isOpen, true)
})

test('a socket from which a long frame comes piece by piece is not taken for gone: it cannot send a pong meanwhile', () => {
  const all = join({ limits: { messageDeadlineMs: 600_000 } })
  all.tick(30_001)
  for (let now = 35_000; now <= 100_000; now += 5_000) {
    all.clock.now = now
    all.stream.emit('data', Buffer.from('a piece'))
    all.tick(now)
  }
  assert.equal(all.session.isOpen, true)
})

test('a peer that reads, however slowly, is not taken for gone', () => {
  const all = join()
  const hold = (bytes: number) => {
    all.stream._handle = { bytesWritten: 900_000, writeQueueSize: bytes }
    all.socket.bufferedAmount = bytes
  }
  hold(500_000)
  all.tick(30_001)
  for (const [now, bytes] of [
    [39_000, 400_000],
    [48_000, 300_000]
  ] as const) {
    hold(bytes)
    all.tick(now)
  }
  all.tick(58_000)
  assert.equal(all.session.isOpen, true)
  all.tick(58_001)
  assert.equal(isClosed(all), true, 'ten seconds after it read last')
})

test('a full socket is pinged at once, so that a peer that does not read is found soon', () => {
  const all = join()
  all.socket.bufferedAmount = 2 ** 21
  all.session.push('a message')
  all.tick(1_000)
  assert.deepEqual(all.socket.sent, ['a message', 'ping'])
  all.tick(11_001)
  assert.equal(isClosed(all), true)
})

test('a session that receipts nothing for a minute is closed, though its socket answers', () => {
  const all = join()
  all.member.waitingSince = 1_000
  all.socket.pong()
  all.tick(61_000)
  assert.equal(all.session.isOpen, true)
  all.clock.now = 61_001
  all.socket.pong()
  all.tick(61_001)
  assert.equal(isClosed(all), true)
})

test('receipts that may wait behind our own work are waited for', async () => {
  const held = { promise: ['promise 1'], 'in flight': ['later 1', 'later 2', 'later 3', 'later 4'] }
  for (const [name, frames] of Object.entries(held)) {
    const all = join()
    all.member.waitingSince = 0
    all.come(...frames)
    all.clock.now = 70_000
    all.socket.pong()
    all.tick(70_000)
    assert.equal(all.session.isOpen, true, name)
  }
})

/** A session that is held by its own frame, with so much behind it that the socket is paused. */
function paused() {
  const all = join()
  all.come('promise 1', 'x'.repeat(65_536))
  assert.equal(all.socket.isPaused, true)
  return all
}

test('a paused socket is read once before it is judged: its answer may lie in what was not read', () => {
  const all = paused()
  all.tick(30_001)
  all.tick(40_002)
  assert.deepEqual([all.session.isOpen, all.socket.isPaused], [true, false])
  all.socket.pong()
  all.tick(41_000)
  assert.equal(all.session.isOpen, true)
})

test('a paused socket that says nothing when it is read is closed', () => {
  const all = paused()
  all.tick(30_001)
  all.tick(40_002)
  assert.equal(all.session.isOpen, true)
  all.tick(41_000)
  assert.equal(isClosed(all), true)
})

test('a paused socket in which a frame was found is judged as one that was heard', () => {
  const all = paused()
  all.tick(30_001)
  all.tick(40_002)
  all.come('now 2') // kept, and the socket is paused again
  all.tick(41_000)
  assert.deepEqual([all.session.isOpen, all.socket.isPaused], [true, true])
  all.tick(71_000) // pinged again
  all.tick(81_001)
  assert.deepEqual([all.session.isOpen, all.socket.isPaused], [true, false], 'read once more')
  all.tick(82_000)
  assert.equal(isClosed(all), true)
})

test('while the clock stands still nobody is judged', () => {
  const all = join()
  all.tick(30_001)
  for (let turns = 0; turns < 100; turns++) all.tick(30_001)
  assert.deepEqual([all.session.isOpen, all.socket.sent], [true, ['ping']])
})

test('a server that stops judges nobody: it does not read the answers', () => {
  const all = join()
  all.tick(30_001)
  all.session.stopReading()
  for (const now of [100_000, 101_000, 102_000]) all.tick(now)
  assert.deepEqual([all.session.isOpen, all.socket.isPaused], [true, true])
})

test('a socket that nobody registered in time is closed, unless its registration is under way', async () => {
  const [idle, busy, registered] = [open(), open(), join()]
  busy.come('promise 1')
  for (const all of [idle, busy, registered]) all.tick(15_000)
  assert.equal(idle.session.isOpen, true)
  for (const all of [idle, busy, registered]) all.tick(15_001)
  assert.deepEqual([idle.session.closeReason, idle.socket.closeCode], ['unregistered', 4001])
  assert.deepEqual([busy.session.isOpen, registered.session.isOpen], [true, true])
  await busy.resolve('promise 1', { frame: 'no', refusal: 'INVALID_PROOF' })
  busy.tick(16_000)
  assert.equal(busy.session.closeReason, 'unregistered')
})

test('a registration that waits for its turn has come in time, unless more was asked for than a registration takes', () => {
  for (const [extra, reason] of [
    ['', undefined],
    ['x'.repeat(200_000), 'unregistered']
  ] as const) {
    const all = open({ turns: new BusyTurns() })
    all.stream.emit('data', Buffer.from(`register${extra}`))
    all.tick(15_001)
    assert.equal(all.session.closeReason, reason)
  }
})

test('the answer to a ping proves that a socket lives, and its end that it does not', async () => {
  const asked = (prove: (all: ReturnType<typeof join>) => void) => {
    const all = join()
    const isAlive = all.session.isAlive(60_000)
    assert.deepEqual(all.socket.sent, ['ping'])
    prove(all)
    return isAlive
  }
  assert.equal(await asked(({ socket }) => socket.pong(socket.pinged)), true)
  assert.equal(await asked(({ socket }) => socket.closed(1006)), false)
})

test('what may have come before the question proves nothing; a socket that was closed is not asked', async (t) => {
  const time = stopTime(t)
  const all = join()
  const isAlive = all.session.isAlive(2_000)
  all.socket.pong()
  all.come('now 1')
  await time.advance(2_000)
  assert.equal(await isAlive, false)
  all.socket.pong(all.socket.pinged) // too late
  all.session.close('replaced')
  assert.equal(await all.session.isAlive(2_000), false)
  assert.deepEqual(all.socket.sent, ['ping', 'now 1'])
})

test('a paused socket is read to learn whether it lives', async () => {
  const all = paused()
  const isAlive = all.session.isAlive(60_000)
  assert.equal(all.socket.isPaused, false)
  all.socket.pong(all.socket.pinged)
  assert.equal(await isAlive, true)
})

/** An old client: its ping is under way, and its pong has come when `t` moves the time. */
async function oldClient(t: TestContext) {
  const time = stopTime(t)
  const all = join({ frames: { message: () => ({ frame: 'message_queued', isNotification: true }) } })
  all.session.putRepliesFirst()
  all.socket.pong()
  await time.advance(50)
  all.socket.sent.length = 0
  return { ...all, time }
}

test('an old client is answered at once, and told of messages when it has been quiet', async (t) => {
  const { session, socket, come, time } = await oldClient(t)
  come('now 1')
  session.push('a message')
  session.notify(Buffer.from('news'))
  come('now 2')
  assert.deepEqual(socket.sent, ['now 1', 'now 2'])
  await time.advance(1_000)
  assert.deepEqual(socket.sent, ['now 1', 'now 2', 'a message', 'bytes 4'])
})

test('an old client hears nothing but its reply while a request is open', async (t) => {
  const { session, socket, come, fill, time } = await oldClient(t)
  come('later 1')
  session.push('a message')
  await time.advance(500)
  assert.deepEqual(socket.sent, [])
  fill('later 1')
  await time.advance(500)
  assert.deepEqual(socket.sent, ['later 1', 'a message'])
})

test('the quiet of an old client begins after its reply, however late that was', async (t) => {
  const time = stopTime(t)
  const { session, socket, come, fill } = join()
  session.putRepliesFirst()
  await time.advance(100) // its round trip
  socket.pong()
  await time.advance(200)
  socket.sent.length = 0
  come('later 1')
  session.push('a message')
  await time.advance(300)
  fill('later 1')
  await time.advance(190) // its next call is under way
  assert.deepEqual(socket.sent, ['later 1'])
  come('now 2')
  await time.advance(190)
  assert.deepEqual(socket.sent, ['later 1', 'now 2'])
  await time.advance(10)
  assert.deepEqual(socket.sent, ['later 1', 'now 2', 'a message'])
})

test('what is said of a message of an old client is a notification; others are told at once', async (t) => {
  const old = await oldClient(t)
  old.come('message 1', 'now 2')
  assert.deepEqual(old.socket.sent, ['now 2'])
  await old.time.advance(1_000)
  assert.deepEqual(old.socket.sent, ['now 2', 'message_queued'])
  const other = join({ frames: { message: () => ({ frame: 'message_queued', isNotification: true }) } })
  other.come('message 1', 'now 2')
  assert.deepEqual(other.socket.sent, ['message_queued', 'now 2'])
})

test('what waits for the quiet is dropped with the socket', async (t) => {
  const { session, socket, come, time } = await oldClient(t)
  const run: string[] = []
  come('now 1')
  session.whenQuiet(() => run.push('a'))
  socket.closed(1006)
  for (let rounds = 0; rounds < 4; rounds++) await time.advance(500)
  assert.deepEqual([run, socket.sent], [[], ['now 1']])
})
