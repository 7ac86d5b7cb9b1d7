// Lists of peers by real sockets: in pages, and not made for who does not read them (docs/protocol.md, 2.2 and 4.5).
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { startTestServer } from '../helpers/server.ts'
import { until } from '../helpers/wait.ts'

const PAGE = 3

test('signaling discover gives pages of the size that is set, in the order of names, and each peer once', async (t) => {
  const server = await startTestServer(t, { DISCOVER_PEERS: PAGE })
  const names = ['anna', 'ben', 'cleo', 'dora', 'emil', 'fred', 'gina', 'hans']
  const peers = await Promise.all(names.map((name) => server.join(name)))
  const [anna] = peers as [(typeof peers)[number]]
  const found: string[][] = []
  for (let after: string | undefined, hasMore = true; hasMore; after = found.at(-1)!.at(-1)) {
    anna.send({ type: 'discover', payload: after === undefined ? {} : { after } })
    const { payload } = await anna.next('discover')
    found.push(payload.peers)
    hasMore = payload.hasMore === true
  }
  assert.deepEqual(found, [names.slice(0, 3), names.slice(3, 6), names.slice(6)])
})

test('L2PS discover, and the list after a registration, give pages, too', async (t) => {
  const server = await startTestServer(t, { DISCOVER_PEERS: PAGE })
  await server.addNetworks('net')
  const peers = []
  for (let n = 0; n < 7; n++) peers.push(await server.enter('net'))
  const keys = peers.map(({ key }) => key).sort()
  const last = await server.l2psPeer()
  const registered = await last.register('net')
  assert.equal(registered.payload.onlinePeers.length, PAGE)
  const found: string[] = []
  for (let hasMore = true; hasMore; ) {
    const payload: object = found.length === 0 ? {} : { after: found.at(-1) }
    const answer = await last.answerTo(last.send('discover', payload))
    assert.ok(answer.payload.peers.length <= PAGE)
    found.push(...answer.payload.peers)
    hasMore = answer.payload.hasMore === true
  }
  assert.deepEqual(found, [...keys, last.key].sort())
})

test('a list that was asked for is not made while the one before it is not written out; all come in the end', async (t) => {
  const server = await startTestServer(t, { PONG_DEADLINE_SECONDS: 300, STALL_DEADLINE_SECONDS: 300 })
  const crowd = Array.from({ length: 100 }, (_, n) => `${n}-${'x'.repeat(245)}`) // 25 kB of names
  for (const name of crowd) await server.join(name)
  const accepted = once(server.app.server, 'connection')
  const reader = await server.join('reader')
  const [ours] = (await accepted) as [Socket]
  const made = server.app.metrics.framesReceived.at({ protocol: 'signaling', type: 'discover' })
  const before = made.value
  const [ASKED, SYSTEM_TAKES] = [1_000, 600]
  reader.ws.pause()
  for (let n = 0; n < ASKED; n++) reader.send({ type: 'discover', payload: {} })
  let seen = -1
  await until('no more are made', async () => {
    for (let n = 0; n < 10; n++) await fetch(`${server.addresses.http}/health/live`)
    const isSame = made.value > before && made.value === seen
    seen = made.value
    return isSame
  })
  assert.ok(made.value - before < SYSTEM_TAKES, `${made.value - before} of ${ASKED} made`)
  assert.ok(ours.writableLength < 60_000, `${ours.writableLength} bytes wait`) // one list, and pings
  reader.ws.resume()
  for (let n = 0; n < ASKED; n++) assert.equal((await reader.next('discover', 60_000)).payload.peers.length, 101)
})
