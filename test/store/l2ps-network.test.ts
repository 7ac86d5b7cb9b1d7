import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Sql } from '../../src/database/database.ts'
import { isNetworkUid } from '../../src/networks/network.ts'
import { peerKeyOf } from '../../src/protocol/peer-key.ts'
import { makeFirstNetwork, readNetworks } from '../../src/store/l2ps-network.ts'
import { createTestDatabase } from '../helpers/database.ts'

const KEY = 'ab'.repeat(32)
const FIRST = { uid: 'demo', name: 'Demo', description: 'words' }

async function networks(sql: Sql) {
  const found = (await readNetworks(sql, undefined))?.networks ?? []
  return found.sort((a, b) => (a.uid < b.uid ? -1 : 1))
}

test('an empty database has no networks, and a revision', async (t) => {
  const { sql } = await createTestDatabase(t)
  assert.deepEqual(await readNetworks(sql, undefined), { revision: 0, networks: [] })
  assert.equal(await readNetworks(sql, 0), undefined)
})

test('the database takes the uids this server takes, and no others', async (t) => {
  const { sql } = await createTestDatabase(t)
  const uids = ['a', 'A-b_9', 'x'.repeat(128), '-', 'Signaling']
  const wrong = ['', '../x', 'a/b', 'a.b', 'x'.repeat(129), 'x'.repeat(200), 'ü', 'a b', 'a\n', 'signaling', 'anchors']
  for (const uid of uids) {
    assert.ok(isNetworkUid(uid), uid)
    await sql`insert into l2ps_network (uid) values (${uid})`
  }
  for (const uid of wrong) {
    assert.ok(!isNetworkUid(uid), uid)
    await assert.rejects(
      async () => sql`insert into l2ps_network (uid) values (${uid})`,
      /violates check constraint/,
      uid
    )
  }
})

test('a member is an address in its one spelling', async (t) => {
  const { sql } = await createTestDatabase(t)
  await sql`insert into l2ps_network (uid) values ('net')`
  const add = async (peer: string) => sql`insert into l2ps_member (uid, peer) values ('net', ${peer})`
  const keys = [64, 1794, 3904].map((digits) => peerKeyOf('Ab'.repeat(digits / 2))!.address)
  for (const address of keys) await add(address)
  for (const wrong of [
    KEY.toUpperCase(),
    `0x${KEY}`,
    KEY.slice(1),
    `${KEY}\n`,
    'ab'.repeat(897),
    `ed25519:${KEY}`,
    ''
  ]) {
    await assert.rejects(add(wrong), /violates check constraint/, wrong)
  }
  await assert.rejects(async () => sql`insert into l2ps_member values ('no-net', ${KEY})`, /foreign key/)
  assert.deepEqual((await networks(sql))[0]?.members, new Set(keys))
})

test('every change of a network or of its members is a new revision, seen when it is committed', async (t) => {
  const { sql } = await createTestDatabase(t)
  let known = 0
  const isNews = async () => {
    const news = await readNetworks(sql, known)
    known = news?.revision ?? known
    return news !== undefined
  }
  const changes = [
    () => sql`insert into l2ps_network (uid) values ('net')`,
    () => sql`insert into l2ps_member (uid, peer) values ('net', ${KEY})`,
    () => sql`update l2ps_network set enabled = false`,
    () => sql`delete from l2ps_member`,
    () => sql`delete from l2ps_network`,
    () => sql`truncate l2ps_network cascade`
  ]
  for (const [index, change] of changes.entries()) {
    await change()
    assert.ok(await isNews(), String(index))
    assert.ok(!(await isNews()), String(index))
  }
  await sql.begin(async (tx) => {
    await tx`insert into l2ps_network (uid) values ('later')`
    assert.ok(!(await isNews()))
  })
  assert.ok(await isNews())
})

test('a network with a list of members stays closed when the last is removed, until it is opened', async (t) => {
  const { sql } = await createTestDatabase(t)
  await sql`insert into l2ps_network (uid) values ('club'), ('open')`
  await sql`insert into l2ps_member (uid, peer) values ('club', ${KEY})`
  const members = async () => (await networks(sql)).map((network) => network.members)
  assert.deepEqual(await members(), [new Set([KEY]), undefined])
  await sql`delete from l2ps_member`
  assert.deepEqual(await members(), [new Set(), undefined])
  await sql`update l2ps_network set members_only = false where uid = 'club'`
  assert.deepEqual(await members(), [undefined, undefined])
})

test('a network takes its members along', async (t) => {
  const { sql } = await createTestDatabase(t)
  await sql`insert into l2ps_network (uid) values ('club')`
  await sql`insert into l2ps_member (uid, peer) values ('club', ${KEY})`
  await sql`delete from l2ps_network`
  assert.equal((await sql`select from l2ps_member`).length, 0)
})

test('the first start makes a network where there is none, once, however many servers start', async (t) => {
  const { sql } = await createTestDatabase(t)
  const made = await Promise.all(Array.from({ length: 10 }, () => makeFirstNetwork(sql, FIRST, true)))
  assert.equal(made.filter(Boolean).length, 1)
  const network = { ...FIRST, enabled: true, auditPublic: false, members: undefined }
  assert.deepEqual(await networks(sql), [network])
  await sql`delete from l2ps_network`
  assert.equal(await makeFirstNetwork(sql, FIRST, true), false)
  assert.deepEqual(await networks(sql), [])
})

test('a first start that finds a network, or wants none, makes none; nor does a later one', async (t) => {
  for (const [wanted, there] of [
    [true, 1],
    [false, 0]
  ] as const) {
    const { sql } = await createTestDatabase(t)
    if (there) await sql`insert into l2ps_network (uid) values ('mine')`
    assert.equal(await makeFirstNetwork(sql, FIRST, wanted), false)
    assert.equal((await networks(sql)).length, there)
    await sql`delete from l2ps_network`
    assert.equal(await makeFirstNetwork(sql, FIRST, true), false)
  }
})
