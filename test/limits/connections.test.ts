// Connections are limited from their accept on, whatever they say, or if they say nothing.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { roomFor } from '../../src/limits/connections.ts'
import { serverProcess } from '../chaos/server-process.ts'
import { atEnd } from '../helpers/at-end.ts'
import { createTestDatabase, temporaryDirectory } from '../helpers/database.ts'
import { openPeer } from '../helpers/peer.ts'
import { startTestServer } from '../helpers/server.ts'
import { until } from '../helpers/wait.ts'

/** Past its sockets an address has connections for answers. */
const FOR_ANSWERS = 64

/** So many connections that say nothing, from one address of this machine. */
async function openSilent(t: TestContext, url: string, count: number, localAddress: string): Promise<Socket[]> {
  const { hostname, port } = new URL(url)
  const sockets = Array.from({ length: count }, () => connect({ host: hostname, port: Number(port), localAddress }))
  atEnd(t, () => {
    for (const socket of sockets) socket.destroy()
  })
  for (const socket of sockets) socket.on('error', () => {})
  await Promise.all(sockets.map((socket) => (socket.connecting ? once(socket, 'connect') : undefined)))
  for (const socket of sockets) socket.resume()
  return sockets
}

test('connections of one address that say nothing are cut off past its limit, on all listeners together; others get in', async (t) => {
  const server = await startTestServer(t, { MAX_CONNECTIONS_PER_ADDRESS: 4 })
  const { http, l2ps } = server.addresses
  const half = (4 + FOR_ANSWERS) / 2
  const silent = await openSilent(t, http, half, '127.0.9.1')
  silent.push(...(await openSilent(t, l2ps!, half + 3, '127.0.9.1')))
  const closed = () => silent.filter((socket) => socket.destroyed || socket.readableEnded).length
  await until('three are cut off', async () => closed() === 3)
  const text = await (await fetch(`${http}/metrics`)).text()
  assert.match(text, /demos_relay_sockets_refused_total\{reason="connection"\} 3\n/)
  silent[0]!.destroy()
  await until('another gets in', async () => {
    const [one] = await openSilent(t, http, 1, '127.0.9.1')
    await new Promise((resolve) => setTimeout(resolve, 50))
    return !one!.destroyed && !one!.readableEnded
  })
  await (await server.join('alice')).nothingMore()
})

const TOKEN = 'correct-horse-battery'

/** A request on a connection that is there already; resolves with the status. */
function ask(agent: Agent, url: string, method: string, body = ''): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${TOKEN}`, ...(body && { 'content-type': 'application/json' }) }
    const asked = request(url, { agent, method, headers }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode))
    })
    asked.once('error', reject).end(body)
  })
}

test('with every connection that outsiders get open, the process still opens its own files and its database', async (t) => {
  const [{ url }, dataDir] = [await createTestDatabase(t), await temporaryDirectory(t)]
  const env = {
    ...{ DATABASE_URL: url, DATA_DIR: dataDir, ADMIN_TOKEN: TOKEN, DATABASE_POOL_SIZE: '5' },
    ...{ RPC_SIGNALING_PORT: '0', L2PS_MESSAGING_PORT: '0' }
  }
  const prefix = ['sh', '-c', 'ulimit -n 400; exec "$@"', 'sh']
  const server = serverProcess(t, { env, cwd: dataDir, steppedClock: false, prefix })
  await server.start()
  const http = server.url!.replace(/^ws/, 'http')
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  atEnd(t, () => agent.destroy())
  assert.equal(await ask(agent, `${http}/health/live`, 'GET'), 200)
  const [alice, bob] = [await openPeer(t, server.url!), await openPeer(t, server.url!)]
  await alice.register('alice')
  await bob.register('bob')
  const silent: Socket[] = []
  for (let n = 1; n <= 5; n++) silent.push(...(await openSilent(t, http, 100, `127.0.8.${n}`)))
  await until(
    'some are cut off',
    async () => silent.filter((socket) => socket.destroyed || socket.readableEnded).length > 100
  )
  alice.send({ type: 'message', payload: { targetId: 'bob', message: 'hello' } })
  assert.equal((await bob.next('message')).payload.message, 'hello')
  assert.equal(await ask(agent, `${http}/admin/networks`, 'POST', JSON.stringify({ uid: 'made-net' })), 201)
  await until(
    'the record is signed',
    async () => (await ask(agent, `${http}/audit/signaling/checkpoint`, 'GET')) === 200
  )
  assert.equal(await ask(agent, `${http}/health/ready`, 'GET'), 200)
  assert.doesNotMatch(server.tail.join('\n'), /EMFILE/)
  assert.deepEqual(server.problems, [])
})

test('sockets give way where the process may have few files open', () => {
  assert.deepEqual(roomFor(20_000, undefined, 10), { sockets: 20_000, http: 512 })
  assert.deepEqual(roomFor(20_000, 1_048_576, 10), { sockets: 20_000, http: 512 })
  assert.deepEqual(roomFor(20_000, 20_000, 10), { sockets: 19_350, http: 512 })
  assert.deepEqual(roomFor(20_000, 1_138, 10), { sockets: 750, http: 250 })
  assert.deepEqual(roomFor(100, 1_138, 10), { sockets: 100, http: 512 })
  assert.deepEqual(roomFor(20_000, 64, 10), { sockets: 1, http: 1 })
})
