import assert from 'node:assert/strict'
import { hostname } from 'node:os'
import { test } from 'node:test'
import { pages, startAdministered } from './helpers.ts'

test('a relay that is alone lists itself, with what is connected to it', async (t) => {
  const server = await startAdministered(t)
  await server.addNetworks('net', 'other')
  const { signer } = await server.enter('net')
  await server.enter('net', signer)
  await server.enter('other', signer)
  await server.join('alice')
  const { cluster, relays } = await server.ok('GET', '/relays')
  assert.deepEqual([cluster, relays.length], [null, 1])
  const { version, startedAt, ...rest } = relays[0]
  assert.match(version, /^\d+\.\d+\.\d+/)
  assert.ok(Date.parse(startedAt) <= Date.now())
  assert.deepEqual(rest, {
    ...{ id: null, name: hostname(), self: true, bus: null, busConnected: null },
    ...{ peers: { signaling: 1, l2ps: 2 }, sessions: 4 }
  })
  assert.equal((await server.ok('GET', '/stats')).relay, undefined)
})

test('peers of a relay that is alone can be asked for by its name', async (t) => {
  const server = await startAdministered(t, { RELAY_NAME: 'harbour' })
  for (const name of ['alice', 'bob']) await server.join(name)
  const found = await pages(server, '/peers?relay=harbour&limit=1', 'peers')
  assert.deepEqual(
    found.flat().map(({ peer }) => peer),
    ['alice', 'bob']
  )
  const elsewhere = await server.ok('GET', '/peers?relay=elsewhere')
  assert.deepEqual(elsewhere, { peers: [], nextCursor: null, total: 0 })
})
