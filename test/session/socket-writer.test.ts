// The writing end of a socket: when it is full, what leaves together, and when the peer was seen to read.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createServer as createTlsServer, connect as tlsConnect } from 'node:tls'
import { SocketWriter } from '../../src/session/socket-writer.ts'
import { makeCertificate } from '../helpers/certificate.ts'
import { FakeSocket, FakeStream } from '../helpers/fake-socket.ts'
import { until } from '../helpers/wait.ts'

const MIB = 1_048_576

function writerOf() {
  const socket = new FakeSocket()
  const stream = new FakeStream(socket)
  const events: string[] = []
  const writer = new SocketWriter(
    { filled: () => void events.push('full'), drained: () => void events.push('drained') },
    socket.asSocket(),
    stream.asStream()
  )
  return { socket, stream, writer, events }
}

const turn = () => new Promise<void>((resolve) => process.nextTick(resolve))

test('it is full when more than 1 MiB is buffered, not before, and says so once', () => {
  const { socket, writer, events } = writerOf()
  socket.bufferedAmount = MIB
  writer.write('a')
  assert.deepEqual([writer.isFull, events], [false, []])
  socket.bufferedAmount = MIB + 1
  writer.write('b')
  writer.write('c')
  writer.writeEncoded(Buffer.from('d'))
  assert.deepEqual([writer.isFull, events, writer.bufferedBytes], [true, ['full'], MIB + 1])
})

test('once all of it went to the system it is writable, says so once, and can be full again', () => {
  const { socket, stream, writer, events } = writerOf()
  socket.bufferedAmount = MIB + 1
  writer.writeEncoded(Buffer.from('a'))
  socket.bufferedAmount = 0
  stream.emit('drain')
  assert.deepEqual([writer.isFull, events], [false, ['full', 'drained']])
  stream.emit('drain')
  assert.deepEqual(events, ['full', 'drained'])
  socket.bufferedAmount = MIB + 1
  writer.write('b')
  assert.deepEqual([writer.isFull, events], [true, ['full', 'drained', 'full']])
})

test('what is written when it says that it has drained may fill it at once', () => {
  const { socket, stream, events } = writerOf()
  const owner = {
    filled: () => void events.push('full'),
    drained: () => {
      events.push('drained')
      if (events.length < 4) writer.write('more')
    }
  }
  const writer = new SocketWriter(owner, socket.asSocket(), stream.asStream())
  socket.bufferedAmount = MIB + 1
  writer.write('a')
  stream.emit('drain')
  stream.emit('drain')
  assert.deepEqual(events, ['full', 'drained', 'full', 'drained'])
})

test('the frames of one turn leave in one system call, and those of the next in another', async () => {
  const { socket, stream, writer } = writerOf()
  writer.write('a')
  writer.writeEncoded(Buffer.from('bytes'))
  writer.ping()
  assert.deepEqual([stream.corks, stream.uncorks], [1, 0])
  await turn()
  assert.deepEqual([stream.corks, stream.uncorks], [1, 1])
  writer.write('b')
  await turn()
  assert.deepEqual([stream.corks, stream.uncorks], [2, 2])
  assert.deepEqual(socket.sent, ['a', 'bytes 5', 'ping', 'b'])
})

test('the writer of a frame hears when its bytes were handed over, or why not', () => {
  const { socket, writer } = writerOf()
  const heard: unknown[] = []
  writer.write('a', (error) => heard.push(error?.message))
  writer.writeEncoded(Buffer.from('b'), (error) => heard.push(error?.message))
  socket.written[1]!(new Error('the socket is gone'))
  socket.written[0]!()
  assert.deepEqual(heard, ['the socket is gone', undefined])
})

test('a socket that is closing is given no encoded frames and no pings', () => {
  const { socket, stream, writer } = writerOf()
  socket.readyState = 2
  writer.writeEncoded(Buffer.from('a'))
  writer.ping()
  assert.deepEqual([writer.isOpen, socket.sent, stream.corks], [false, [], 0])
})

/** What Node.js has been given in all, of that libuv, and what libuv still holds of it. */
function set({ socket, stream }: ReturnType<typeof writerOf>, given: number, toLibuv: number, held: number): void {
  stream.bytesWritten = given
  stream._handle = { bytesWritten: toLibuv, writeQueueSize: held }
  socket.bufferedAmount = given - toLibuv + held
}

test('a peer that made no room yet was never seen to read: the system takes the first bytes at once', () => {
  const all = writerOf()
  assert.equal(all.writer.progressAt(1_000), 0)
  set(all, 5_000, 5_000, 0)
  assert.equal(all.writer.progressAt(2_000), 0)
  set(all, 900_000, 900_000, 400_000)
  assert.equal(all.writer.progressAt(3_000), 0)
})

test('the peer was seen to read when what had waited went to the system, whole or in part', () => {
  const all = writerOf()
  set(all, 900_000, 900_000, 400_000)
  all.writer.progressAt(1_000)
  assert.equal(all.writer.progressAt(2_000), 0, 'nothing moved')
  set(all, 900_000, 900_000, 300_000)
  assert.equal(all.writer.progressAt(3_000), 3_000, 'a part of a large write')
  assert.equal(all.writer.progressAt(4_000), 3_000)
  set(all, 900_000, 900_000, 0)
  assert.equal(all.writer.progressAt(5_000), 5_000)
})

test('what we write to a peer that reads nothing does not count as its progress', () => {
  const all = writerOf()
  set(all, 900_000, 900_000, 400_000)
  all.writer.progressAt(1_000)
  set(all, 900_100, 900_000, 400_000) // a ping: Node.js keeps it behind the write that libuv holds
  assert.equal(all.writer.progressAt(2_000), 0)
  set(all, 950_000, 900_000, 400_000)
  assert.equal(all.writer.progressAt(3_000), 0)
})

test('of a stream that does not tell what libuv holds, whole writes count', () => {
  const all = writerOf()
  const wait = (given: number, buffered: number) => {
    Object.assign(all.stream, { bytesWritten: given, _handle: null })
    all.socket.bufferedAmount = buffered
  }
  wait(900_000, 400_000)
  all.writer.progressAt(1_000)
  wait(950_000, 450_000)
  assert.equal(all.writer.progressAt(2_000), 0)
  wait(950_000, 50_000)
  assert.equal(all.writer.progressAt(3_000), 3_000)
})

/** Both ends of a connection, over TCP or TLS. */
async function connection(t: TestContext, isTls: boolean): Promise<{ ours: Socket; theirs: Socket }> {
  const { certFile, keyFile } = isTls ? await makeCertificate(t) : { certFile: '', keyFile: '' }
  const server = isTls
    ? createTlsServer({ cert: await readFile(certFile), key: await readFile(keyFile) })
    : createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const opened = once(server, isTls ? 'secureConnection' : 'connection')
  const theirs = isTls
    ? tlsConnect({ port, host: '127.0.0.1', rejectUnauthorized: false })
    : createConnection(port, '127.0.0.1')
  const [ours] = (await opened) as [Socket]
  for (const end of [ours, theirs]) end.on('error', () => {})
  t.after(() => {
    for (const end of [ours, theirs]) end.destroy()
    server.close()
  })
  return { ours, theirs }
}

for (const isTls of [false, true]) {
  test(`of a real socket over ${isTls ? 'TLS' : 'TCP'} the same holds`, async (t) => {
    const { ours, theirs } = await connection(t, isTls)
    theirs.pause()
    const socket = new FakeSocket()
    Object.defineProperty(socket, 'bufferedAmount', { get: () => ours.writableLength })
    const writer = new SocketWriter({ filled: () => {}, drained: () => {} }, socket.asSocket(), ours)
    while (!writer.isFull) {
      writer.writeEncoded(Buffer.alloc(300_000))
      await new Promise(setImmediate)
    }
    let now = 0
    let stillLooks = 0
    await until('the system takes no more', () => {
      now += 1
      stillLooks = writer.progressAt(now) === now ? 0 : stillLooks + 1
      return stillLooks === 10
    })
    const before = writer.progressAt(now)
    for (let pings = 0; pings < 10; pings++) writer.writeEncoded(Buffer.alloc(100))
    await new Promise(setImmediate)
    assert.equal(writer.progressAt(1_000), before, 'we wrote, and the peer read nothing')
    theirs.resume()
    await until('it has drained', () => !writer.isFull)
    assert.equal(writer.progressAt(2_000), 2_000)
  })
}
