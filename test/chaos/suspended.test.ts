// A server that slept, as a suspended machine or a stopped process does, wakes up among peers that are all well.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { atEnd } from '../helpers/at-end.ts'
import { createTestDatabase, temporaryDirectory } from '../helpers/database.ts'
import { openPeer, type Peer } from '../helpers/peer.ts'
import { startTcpProxy } from '../helpers/proxy.ts'
import { serverProcess } from './server-process.ts'

const PEERS = 30
/** Longer than every deadline below; a sleep that has to be real. */
const SLEEP_MS = 4_000
const SEND_EVERY_MS = 20

test('nobody is closed for a deadline that the server slept through, and a peer that is dead is still found', async (t) => {
  const { url } = await createTestDatabase(t)
  const home = await temporaryDirectory(t)
  const env = {
    ...{ DATABASE_URL: url, DATA_DIR: home, RPC_SIGNALING_PORT: '0', L2PS_MESSAGING_ENABLED: 'false' },
    ...{ HEARTBEAT_SECONDS: '1', PONG_DEADLINE_SECONDS: '1', STALL_DEADLINE_SECONDS: '2' }
  }
  const server = serverProcess(t, { env, cwd: home, steppedClock: false })
  await server.start()
  const peers = await Promise.all(
    Array.from({ length: PEERS }, async (_, n) => {
      const peer = await openPeer(t, server.url!)
      await peer.register(`peer-${n}`)
      return peer
    })
  )
  const closed: string[] = []
  for (const { closed: end, clientId } of peers) void end.then(({ code }) => closed.push(`${clientId} ${code}`))
  const proxy = await startTcpProxy(t, server.url!)
  await (await openPeer(t, proxy.url)).register('doomed')

  const stopTraffic = sendAround(peers)
  atEnd(t, stopTraffic)
  await Promise.all(peers.map((peer) => peer.next('message')))
  server.freeze()
  await delay(SLEEP_MS)
  server.thaw()
  proxy.freeze()
  // The dead peer is judged after whoever would be judged by the time the server slept.
  await Promise.all(peers.map((peer) => peer.next('peer_disconnected', 20_000)))
  stopTraffic()
  assert.deepEqual(closed, [])
  for (const peer of peers) peer.send({ type: 'discover', payload: {} })
  for (const peer of peers) assert.equal((await peer.next('discover')).payload.peers.length, PEERS)
  assert.deepEqual(server.problems, [])
})

/** Each peer writes to the next one, again and again. */
function sendAround(peers: readonly Peer[]): () => void {
  const timer = setInterval(() => {
    for (const [n, peer] of peers.entries()) {
      const targetId = `peer-${(n + 1) % peers.length}`
      if (peer.ws.readyState === peer.ws.OPEN) peer.send({ type: 'message', payload: { targetId, message: 'text' } })
    }
  }, SEND_EVERY_MS)
  return () => clearInterval(timer)
}
