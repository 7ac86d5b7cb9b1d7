// The sockets in memory are those of clients that live: pings are answered.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BENCH_NETWORK, l2ps } from '../../bench/protocols/l2ps.ts'
import { startTestServer } from '../helpers/server.ts'
import { until } from '../helpers/wait.ts'
import { MemorySocket } from './memory-socket.ts'

test('a socket in memory registers, answers pings with and without a payload, and can be lost', async (t) => {
  const server = await startTestServer(t, { HEARTBEAT_SECONDS: 1 })
  await server.addNetworks(BENCH_NETWORK)
  const [peer] = await l2ps.newPeers('', 1, 'ed25519')
  const socket = new MemorySocket('127.0.0.1', await peer!.registerFrame())
  await socket.open(server.app, '/l2ps')
  const { session } = server.app.presence.sessions(BENCH_NETWORK, peer!.name)[0]!
  assert.equal(await session.isAlive(5_000), true)
  let pongs = 0
  t.mock.method(socket, 'push', function (this: MemorySocket, chunk: Buffer | null) {
    if (chunk?.length === 6) pongs += 1
    return MemorySocket.prototype.push.call(this, chunk)
  })
  await until('a heartbeat is answered', () => pongs > 0)
  socket.lose()
  await until('it is gone', () => server.app.presence.peerCount(BENCH_NETWORK) === 0)
})
