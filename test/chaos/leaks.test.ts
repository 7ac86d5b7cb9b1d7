// What connects, works and goes leaves nothing behind: neither in our own maps nor in the process.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Member } from '../../src/delivery/member.ts'
import { quickIdentity } from '../helpers/peer.ts'
import { startTestServer, type TestServer } from '../helpers/server.ts'
import { until } from '../helpers/wait.ts'

const WAVES = 6
const PEERS_PER_WAVE = 40
/** What the heap may grow by from the second wave to the last, in bytes: far less than what one wave's peers take. */
const HEAP_TOLERANCE = 6_000_000

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Peers of both protocols come, write to each other, and go: half with a handshake, half without. Returns what the server had of them. */
async function wave(
  server: TestServer,
  number: number,
  identities: readonly Awaited<ReturnType<typeof quickIdentity>>[]
) {
  const peers = await Promise.all(
    Array.from({ length: PEERS_PER_WAVE / 2 }, (_, place) => server.join(`peer-${place}`, identities[place]!))
  )
  const members = await Promise.all(
    Array.from({ length: PEERS_PER_WAVE / 2 }, (_, place) => server.enter('net', identities[place]!))
  )
  for (const [place, peer] of peers.entries()) {
    const targetId = `peer-${(place + 1) % peers.length}`
    peer.send({ type: 'message', payload: { targetId, message: { number } } })
  }
  for (const [place, member] of members.entries()) {
    const to = members[(place + 1) % members.length]!.key
    const encrypted = { ciphertext: 'AAAA', nonce: 'AAAA' }
    member.send('send', { to, encrypted, messageHash: `wave-${number}-${place}` })
  }
  await Promise.all([...peers, ...members].map((each) => each.next('message')))
  await server.emptied()
  const seen = [...server.app.presence.everyone()].flatMap(({ network, peer }) =>
    server.app.presence.sessions(network, peer).map((member) => new WeakRef(member))
  )
  await Promise.all(
    [...peers, ...members].map(async ({ ws }, place) => {
      const closed = once(ws, 'close')
      if (place % 2 === 0) ws.close()
      else ws.terminate()
      await closed
    })
  )
  await until('all sessions are gone', () => server.app.sessions.size === 0)
  return seen
}

test('waves of sessions leave no session, no timer, no socket and no memory behind', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('net')
  const identities = await Promise.all(Array.from({ length: PEERS_PER_WAVE / 2 }, () => quickIdentity()))
  const resources = () => {
    const counts: Record<string, number> = {}
    for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1
    return counts
  }
  const heap = () => {
    collectGarbage()
    return process.memoryUsage().heapUsed
  }
  const seen: WeakRef<Member>[] = []
  let [baseline, heapBefore] = [resources(), 0]
  for (let number = 0; number < WAVES; number++) {
    seen.push(...(await wave(server, number, identities)))
    assert.equal(server.app.presence.size, 0)
    if (number === 1) [baseline, heapBefore] = [resources(), heap()]
  }
  assert.deepEqual([...server.app.presence.everyone()], [])
  const kinds = ['TCPSocketWrap', 'Timeout', 'Immediate'] as const
  const excess = () => kinds.filter((kind) => (resources()[kind] ?? 0) > (baseline[kind] ?? 0) + 2)
  await until(`as many resources as before: ${JSON.stringify(baseline)}`, () => excess().length === 0)
  const kept = () => {
    collectGarbage()
    return seen.filter((each) => each.deref() !== undefined).length
  }
  assert.equal(seen.length, WAVES * PEERS_PER_WAVE)
  await until('no session that is over is kept in memory', () => kept() === 0, 10_000)
  const grown = heap() - heapBefore
  t.diagnostic(`${WAVES * PEERS_PER_WAVE} sessions came and went; the heap grew by ${Math.round(grown / 1_000)} kB`)
  assert.ok(grown < HEAP_TOLERANCE, `the heap grew by ${grown} bytes`)
})
