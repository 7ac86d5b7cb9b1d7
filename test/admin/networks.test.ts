import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryDirectory } from '../helpers/database.ts'
import { keyOf, sendFrame } from '../helpers/l2ps-peer.ts'
import { quickSigner } from '../helpers/peer.ts'
import { held, pages, startAdministered } from './helpers.ts'

const KEY = 'ab'.repeat(32)
const administration = (digest: string, network: string, more: object = {}) => ({
  ...{ network, kind: 'administration', digest },
  ...more
})

test('a network that was created can be joined at once, read, and changed', async (t) => {
  const server = await startAdministered(t)
  const answer = await server.ask('POST', '/networks', { uid: 'team', name: 'The team' })
  assert.equal(answer.status, 201)
  assert.equal(answer.headers.get('location'), '/admin/networks/team')
  const { createdAt, updatedAt, ...made } = answer.body
  assert.deepEqual(made, {
    ...{ uid: 'team', name: 'The team', description: null, enabled: true, membersOnly: false, auditPublic: false },
    ...{ source: 'database', members: 0, queue: { entries: 0, bytes: 0 } }
  })
  assert.equal(createdAt, updatedAt)
  await server.enter('team')
  assert.deepEqual(await server.ok('GET', '/networks/team'), answer.body)

  const changes = { name: null, description: 'ours', auditPublic: true }
  const changed = await server.ok('PATCH', '/networks/team', changes)
  assert.deepEqual({ ...changed, ...changes }, changed)
  assert.ok(Date.parse(changed.updatedAt) > Date.parse(createdAt))
  assert.deepEqual(await server.ok('PATCH', '/networks/team', changes), changed, 'it is so already')
  assert.deepEqual(await server.records(), [
    administration('networkCreate', 'team'),
    administration('networkChange', 'team')
  ])
})

test('a uid that is taken, reserved or no uid is refused, and so is a change of nothing', async (t) => {
  const server = await startAdministered(t)
  await server.addNetworks('team')
  assert.equal(await server.refused('network-exists', 'POST', '/networks', { uid: 'team' }), 'body/uid')
  for (const uid of ['signaling', 'anchors', 'a b', 'a/b', '', 'x'.repeat(129), 7, null]) {
    assert.equal(await server.refused('invalid-request', 'POST', '/networks', { uid }), 'body/uid', String(uid))
  }
  await server.refused('invalid-request', 'PATCH', '/networks/team', {})
  await server.refused('invalid-request', 'PATCH', '/networks/team', { uid: 'other' })
  for (const [method, body] of [['GET'], ['PATCH', { enabled: false }], ['DELETE']] as const) {
    await server.refused('not-found', method, '/networks/nowhere', body)
  }
  assert.deepEqual(await server.records(), [])
})

test('of two who create the same network at once, one is told that it is there', async (t) => {
  const server = await startAdministered(t)
  const answers = await Promise.all(Array.from({ length: 5 }, () => server.ask('POST', '/networks', { uid: 'team' })))
  assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 409, 409, 409, 409])
  assert.equal((await server.records()).length, 1)
})

test('networks are listed page by page, whatever comes and goes meanwhile', async (t) => {
  const server = await startAdministered(t)
  await server.addNetworks('b', 'c', 'd', 'e', 'f')
  const found = await pages(server, '/networks?limit=2', 'networks', async (page) => {
    if (page !== 1) return
    await server.ok('DELETE', '/networks/c')
    await server.ok('POST', '/networks', { uid: 'a' })
    await server.ok('POST', '/networks', { uid: 'dd' })
  })
  assert.deepEqual(
    found.map((page) => page.map(({ uid }) => uid)),
    [
      ['b', 'c'],
      ['d', 'dd'],
      ['e', 'f']
    ]
  )
})

test('a network that is disabled shows its peers out, and keeps what waits until it is enabled again', async (t) => {
  const server = await startAdministered(t)
  await server.addNetworks('team', 'other')
  const [alice, elsewhere] = [await server.enter('team'), await server.enter('other')]
  const bob = await quickSigner()
  await alice.answerTo(alice.send(sendFrame(keyOf(bob), 'AAAA')))
  const disabled = await server.ok('PATCH', '/networks/team', { enabled: false })
  assert.deepEqual([disabled.enabled, disabled.queue.entries], [false, 1])
  assert.equal((await alice.closed).code, 4003)
  await assert.rejects(server.enter('team'), /L2PS_NOT_FOUND/)
  await elsewhere.nothingMore()
  await server.ok('PATCH', '/networks/team', { enabled: true })
  const there = await server.enter('team', bob)
  assert.equal((await there.next('message')).payload.from, alice.key)
  assert.deepEqual(await server.records(), [
    administration('networkChange', 'team'),
    administration('networkChange', 'team')
  ])
})

test('a network is not deleted while messages wait in it, unless they are purged with it', async (t) => {
  const server = await startAdministered(t)
  await server.addNetworks('team')
  const alice = await server.enter('team')
  await alice.answerTo(alice.send(sendFrame(KEY)))
  await server.refused('messages-waiting', 'DELETE', '/networks/team')
  assert.deepEqual(await server.records(), [])
  await alice.nothingMore()
  const deleted = await server.ok('DELETE', '/networks/team?force=true')
  assert.deepEqual([deleted.deleted, deleted.purged.entries], [true, 1])
  assert.equal((await alice.closed).code, 4003)
  assert.deepEqual(await held(server), { entries: 0, sender: 0, recipient: 0 })
  assert.deepEqual(
    (await server.records()).map(({ kind, digest, entries }) => [kind, digest ?? entries]),
    [
      ['administration', 'networkDelete'],
      ['purge', 1]
    ]
  )
  await server.refused('not-found', 'DELETE', '/networks/team?force=true')
  await assert.rejects(server.enter('team'), /L2PS_NOT_FOUND/)
})

test('an empty network is deleted with its members, and may be made again', async (t) => {
  const server = await startAdministered(t)
  await server.addNetworks({ uid: 'team', members: [KEY] })
  assert.deepEqual(await server.ok('DELETE', '/networks/team'), { deleted: true, purged: { entries: 0, bytes: 0 } })
  await server.ok('POST', '/networks', { uid: 'team' })
  assert.deepEqual((await server.ok('GET', '/networks/team/members')).members, [])
})

test('the first member closes a network to everybody else, and who is taken off the list is shown out', async (t) => {
  const server = await startAdministered(t)
  await server.addNetworks('team')
  const [stranger, alice] = [await server.enter('team'), await quickSigner()]
  const path = `/networks/team/members/${keyOf(alice)}`
  assert.deepEqual(
    await server.ok('PUT', path.toUpperCase().replace('/NETWORKS/TEAM/MEMBERS', '/networks/team/members')),
    {
      peer: keyOf(alice),
      changed: true
    }
  )
  assert.equal((await stranger.closed).code, 4003)
  assert.deepEqual(await server.ok('PUT', path), { peer: keyOf(alice), changed: false })
  const network = await server.ok('GET', '/networks/team')
  assert.deepEqual([network.membersOnly, network.members], [true, 1])
  const inside = await server.enter('team', alice)
  assert.deepEqual(await server.ok('DELETE', path), { peer: keyOf(alice), changed: true })
  assert.equal((await inside.closed).code, 4003)
  await server.refused('not-found', 'DELETE', path)
  await assert.rejects(server.enter('team', alice), /L2PS_NOT_FOUND/)
  await server.ok('PATCH', '/networks/team', { membersOnly: false })
  await server.enter('team', alice)
  assert.deepEqual(await server.records(), [
    administration('memberAdd', 'team', { sender: keyOf(alice) }),
    administration('memberRemove', 'team', { sender: keyOf(alice) }),
    administration('networkChange', 'team')
  ])
})

test('members are listed page by page; longer keys by their address', async (t) => {
  const server = await startAdministered(t)
  await server.addNetworks('team')
  const keys = ['1', '2', '3', '4'].map((digit) => digit.repeat(64))
  for (const key of keys) await server.ok('PUT', `/networks/team/members/${key}`)
  const longer = []
  for (const [scheme, bytes] of [
    ['falcon', 897],
    ['ml-dsa', 1_952]
  ] as const) {
    const key = '0a'.repeat(bytes)
    const { peer } = await server.ok('PUT', `/networks/team/members/${key}`)
    assert.equal(peer, `${scheme}:${createHash('sha256').update(Buffer.from(key, 'hex')).digest('hex')}`)
    assert.deepEqual(await server.ok('PUT', `/networks/team/members/${peer}`), { peer, changed: false })
    longer.push({ peer })
  }
  const found = await pages(server, '/networks/team/members?limit=2', 'members', async (page) => {
    if (page === 1) await server.ok('DELETE', `/networks/team/members/${keys[1]}`)
  })
  assert.deepEqual(found, [[{ peer: keys[0] }, { peer: keys[1] }], [{ peer: keys[2] }, { peer: keys[3] }], longer])
  assert.equal(await server.refused('invalid-request', 'PUT', '/networks/team/members/alice'), 'params/peer')
  for (const method of ['PUT', 'DELETE']) await server.refused('not-found', method, `/networks/none/members/${KEY}`)
  await server.refused('not-found', 'GET', '/networks/none/members')
})

test('a network in a file is shown and listed, and changed only there', async (t) => {
  const directory = await temporaryDirectory(t)
  await mkdir(join(directory, 'filed'))
  await writeFile(
    join(directory, 'filed', 'config.json'),
    JSON.stringify({ uid: 'filed', enabled: true, name: 'Filed', members: [KEY] })
  )
  const server = await startAdministered(t, { L2PS_DIR: directory })
  const shown = await server.ok('GET', '/networks/filed')
  assert.deepEqual(
    [shown.source, shown.name, shown.members, shown.membersOnly, shown.createdAt, shown.updatedAt],
    ['file', 'Filed', 1, true, null, null]
  )
  assert.deepEqual((await server.ok('GET', '/networks/filed/members')).members, [{ peer: KEY }])
  const attempts = [
    ['PATCH', '', { enabled: false }],
    ['DELETE', '?force=true'],
    ['PUT', `/members/${KEY}`],
    ['DELETE', `/members/${KEY}`]
  ] as const
  for (const [method, rest, body] of attempts) {
    await server.refused('network-in-file', method, `/networks/filed${rest}`, body)
  }
  await server.refused('network-exists', 'POST', '/networks', { uid: 'filed' })
  assert.deepEqual(await server.records(), [])
})

test('without L2PS messaging there is nothing at /admin/networks', async (t) => {
  const server = await startAdministered(t, { L2PS_MESSAGING_ENABLED: 'false' })
  await server.refused('not-found', 'GET', '/networks')
  assert.deepEqual((await server.ok('GET', '/stats')).networks, { count: 0, enabled: 0 })
})
