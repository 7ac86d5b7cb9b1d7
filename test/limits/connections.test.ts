// Connections are limited from their accept on, whatever they say, or if they say nothing.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { atEnd } from '../helpers/at-end.ts'
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
