// Who did what: each action of an administrator with the name of its token, newest first, and in the log with its target.
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { pino } from 'pino'
import { digestOf } from '../../src/http/tokens.ts'
import { callCli } from '../helpers/cli.ts'
import { temporaryDirectory } from '../helpers/database.ts'
import { pages, startAdministered, store, TOKEN } from './helpers.ts'

const KEY = 'ab'.repeat(32)

test('every change is an event with token, action, target and counts, newest first', async (t) => {
  const dataDir = await temporaryDirectory(t)
  const other = 'another-token-for-tests'
  const named = {
    name: 'carol',
    role: 'admin',
    sha256: digestOf(other).toString('hex'),
    createdAt: new Date().toISOString()
  }
  await writeFile(join(dataDir, 'tokens.json'), JSON.stringify([named]), { mode: 0o600 })
  const server = await startAdministered(t, { DATA_DIR: dataDir })
  const alice = await server.join('alice')
  await (await server.join('bob')).close()
  await store(alice, ['bob', 1], ['bob', 22], ['dora', 3])
  const asCarol = async (method: string, path: string) => {
    const headers = { authorization: `Bearer ${other}` }
    assert.equal((await fetch(`${server.addresses.http}/admin${path}`, { method, headers })).status, 200)
  }
  await server.ok('POST', '/queues/signaling/bob/requeue', {})
  await asCarol('DELETE', '/queues/signaling/bob')
  await server.ok('DELETE', '/identities/signaling/bob')
  await server.ok('POST', '/networks', { uid: 'team' })
  await server.ok('PATCH', '/networks/team', { enabled: false })
  await server.ok('PUT', `/networks/team/members/${KEY}`)
  await server.ok('DELETE', `/networks/team/members/${KEY}`)
  await server.ok('DELETE', '/networks/team')
  await asCarol('DELETE', '/queues/signaling?sender=alice')
  await server.ok('DELETE', '/peers/signaling/alice')
  const { events } = await server.ok('GET', '/events')
  const none = { peer: null, sender: null, entries: null, bytes: null }
  assert.deepEqual(
    events.map(({ id: _, at, ...event }: { id: number; at: string }) => {
      assert.ok(Math.abs(Date.parse(at) - Date.now()) < 60_000)
      return event
    }),
    [
      { ...none, token: 'admin', action: 'sessionClose', network: 'signaling', peer: 'alice' },
      { token: 'carol', action: 'purge', network: 'signaling', peer: 'dora', sender: 'alice', entries: 1, bytes: 1 },
      { ...none, token: 'admin', action: 'networkDelete', network: 'team' },
      { ...none, token: 'admin', action: 'memberRemove', network: 'team', peer: KEY },
      { ...none, token: 'admin', action: 'memberAdd', network: 'team', peer: KEY },
      { ...none, token: 'admin', action: 'networkChange', network: 'team' },
      { ...none, token: 'admin', action: 'networkCreate', network: 'team' },
      { ...none, token: 'admin', action: 'identityRelease', network: 'signaling', peer: 'bob' },
      { token: 'carol', action: 'purge', network: 'signaling', peer: 'bob', sender: null, entries: 2, bytes: 3 },
      { ...none, token: 'admin', action: 'requeue', network: 'signaling', peer: 'bob', entries: 2 }
    ]
  )
  assert.deepEqual((await pages(server, '/events?limit=3', 'events')).flat(), events)
  const actions = async (query: string) =>
    (await server.ok('GET', `/events?${query}`)).events.map(({ action }: { action: string }) => action)
  assert.deepEqual(await actions('token=carol'), ['purge', 'purge'])
  assert.deepEqual(await actions('network=signaling&peer=bob'), ['identityRelease', 'purge', 'requeue'])
  assert.deepEqual(await actions(`network=team&peer=${KEY.toUpperCase()}`), ['memberRemove', 'memberAdd'])
  assert.deepEqual(await actions('action=networkCreate'), ['networkCreate'])
  const { stdout, code } = await callCli(['events', '--url', server.addresses.http, '--token', 'carol'], {
    ADMIN_TOKEN: TOKEN
  })
  assert.equal(code, 0)
  assert.match(stdout, /carol +purge +signaling +bob .* 2 .* 3 B/)
  assert.match(stdout, /\n2 events\n$/)
})

test('a change that changes nothing, a look and a refusal are no events', async (t) => {
  const server = await startAdministered(t)
  await server.addNetworks('team')
  await server.ok('PATCH', '/networks/team', { enabled: true })
  await server.ok('DELETE', '/queues/signaling/bob?dryRun=true')
  await server.ok('DELETE', '/queues/signaling/bob')
  await server.refused('not-found', 'DELETE', '/peers/signaling/bob')
  assert.deepEqual((await server.ok('GET', '/events')).events, [])
})

test('what a newer relay of the cluster did is listed by its name for it', async (t) => {
  const server = await startAdministered(t)
  await server.app.database.sql`
    insert into admin_event (at, token, action, network) values (1, 'carol', 'ofTomorrow', 'signaling')`
  const { events } = await server.ok('GET', '/events')
  assert.deepEqual([events[0].token, events[0].action], ['carol', 'ofTomorrow'])
})

test('the log line of an action names its token, its target and its counts', async (t) => {
  const lines: Record<string, unknown>[] = []
  const stream = new Writable({
    write: (chunk, _encoding, done) => {
      lines.push(JSON.parse(String(chunk)))
      done()
    }
  })
  const server = await startAdministered(t, {}, { logger: pino({}, stream) })
  await store(await server.join('alice'), ['bob', 1])
  await server.ok('DELETE', '/queues/signaling/bob')
  const line = lines.find(({ msg }) => msg === 'administration: changed')
  const { method, route, network, recipient, purged, by } = line!
  assert.deepEqual(
    { method, route, network, recipient, purged, by },
    {
      ...{ method: 'DELETE', route: '/admin/queues/:network/:recipient', network: 'signaling', recipient: 'bob' },
      ...{ purged: { entries: 1, bytes: 1 }, by: 'admin' }
    }
  )
})
