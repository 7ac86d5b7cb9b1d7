// Finding things among many: search, sort and totals of queues, peers, identities and networks.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Sql } from '../../src/database/database.ts'
import { listIdentities } from '../../src/store/identity.ts'
import { listMailboxes, MAILBOX_ORDERS, readQueueStats, sortMailboxes } from '../../src/store/mailbox-overview.ts'
import { explainedSql } from '../helpers/plans.ts'
import { type AdministeredServer, pages, startAdministered } from './helpers.ts'

/** Mailboxes by SQL: `depth` messages of `bytes`, accepted so many seconds ago. */
async function fill(sql: Sql, network: string, recipient: string, depth: number, bytes: number, ageSeconds: number) {
  const acceptedAt = Date.now() - ageSeconds * 1_000
  await sql`
    insert into queue_entry (network, sender, recipient, sealed, size_bytes, slot, accepted_at, expires_at)
    select ${network}, 'alice', ${recipient}, '"x"', ${bytes}, false, ${acceptedAt}, ${acceptedAt + 1e9}
    from generate_series(1, ${depth})`
}

const names = (list: { recipient?: string; peer?: string }[]) => list.map(({ recipient, peer }) => recipient ?? peer)

const list = async (server: AdministeredServer, path: string, field: string) =>
  names((await server.ok('GET', path))[field])

test('queues are sorted by depth, bytes, age and name, up and down, page by page without gap or double', async (t) => {
  const server = await startAdministered(t)
  const { sql } = server.app.database
  await fill(sql, 'signaling', 'bob', 3, 10, 50)
  await fill(sql, 'signaling', 'Carol', 1, 500, 90)
  await fill(sql, 'signaling', 'dave', 3, 20, 10)
  await fill(sql, 'team', 'carla', 7, 1, 70)
  const orders: Record<string, string[]> = {
    ...{ name: ['Carol', 'bob', 'dave', 'carla'], '-name': ['carla', 'dave', 'bob', 'Carol'] },
    ...{ '-depth': ['carla', 'bob', 'dave', 'Carol'], depth: ['Carol', 'bob', 'dave', 'carla'] },
    ...{ '-bytes': ['Carol', 'dave', 'bob', 'carla'], bytes: ['carla', 'bob', 'dave', 'Carol'] },
    ...{ oldest: ['Carol', 'carla', 'bob', 'dave'], '-oldest': ['dave', 'bob', 'carla', 'Carol'] }
  }
  for (const [sort, expected] of Object.entries(orders)) {
    assert.deepEqual(await list(server, `/queues?sort=${sort}`, 'queues'), expected, sort)
    for (const limit of [1, 2, 3]) {
      const found = await pages(server, `/queues?sort=${sort}&limit=${limit}`, 'queues')
      assert.deepEqual(names(found.flat()), expected, `${sort}, ${limit} a page`)
    }
  }
  assert.deepEqual(await list(server, '/queues?sort=-depth&network=signaling&search=cA', 'queues'), ['Carol'])
  assert.deepEqual(await list(server, '/queues?search=CA', 'queues'), ['Carol', 'carla'])
  for (const sort of ['', '&sort=-depth']) {
    const { total, queues } = await server.ok('GET', `/queues?total=true&limit=1&search=ca${sort}`)
    assert.deepEqual([total, queues.length], [2, 1])
    assert.equal((await server.ok('GET', `/queues?total=true&search=nobody${sort}`)).total, 0)
  }
  for (const wrong of ['depht', '--depth', 'depth,bytes', '-', '']) {
    assert.equal(await server.refused('invalid-request', 'GET', `/queues?sort=${wrong}`), 'query/sort')
  }
  const { nextCursor } = await server.ok('GET', '/queues?sort=-depth&limit=1')
  assert.equal(
    await server.refused('invalid-request', 'GET', `/queues?sort=depth&cursor=${nextCursor}`),
    'query/cursor'
  )
})

test('a search takes every character as it stands', async (t) => {
  const server = await startAdministered(t)
  for (const name of ['a%b', 'a_b', 'axb', 'ä', 'Ä', '"', "o'neil", '\\x'])
    await fill(server.app.database.sql, 'signaling', name, 1, 1, 1)
  const search = (text: string) => list(server, `/queues?search=${encodeURIComponent(text)}`, 'queues')
  for (const [text, found] of [
    ['a%', ['a%b']],
    ['a_', ['a_b']],
    ['A', ['a%b', 'a_b', 'axb']],
    ['ä', ['ä']],
    ["O'", ["o'neil"]],
    ['\\', ['\\x']],
    ['"', ['"']]
  ] as const) {
    assert.deepEqual(await search(text), found, text)
  }
})

test('peers are sorted, searched and counted', async (t) => {
  const server = await startAdministered(t)
  for (const name of ['bob', 'alice', 'Bill']) await server.join(name)
  assert.deepEqual(await list(server, '/peers', 'peers'), ['Bill', 'alice', 'bob'])
  assert.deepEqual(await list(server, '/peers?sort=-name', 'peers'), ['bob', 'alice', 'Bill'])
  assert.deepEqual(await list(server, '/peers?search=B', 'peers'), ['Bill', 'bob'])
  for (const sort of ['since', '-since', 'round-trip', '-unreceipted', 'buffered', 'sessions']) {
    const whole = await list(server, `/peers?sort=${sort}`, 'peers')
    assert.deepEqual(whole.toSorted(), ['Bill', 'alice', 'bob'])
    assert.deepEqual(names((await pages(server, `/peers?sort=${sort}&limit=1`, 'peers')).flat()), whole, sort)
  }
  assert.deepEqual(await list(server, '/peers?sort=since', 'peers'), ['bob', 'alice', 'Bill'])
  const { total, peers } = await server.ok('GET', '/peers?search=b&limit=1')
  assert.deepEqual([total, peers.length], [2, 1])
})

test('identities are listed, sorted by name and age, searched and counted', async (t) => {
  const server = await startAdministered(t)
  for (const name of ['bob', 'alice', 'Bill']) await (await server.join(name)).close()
  assert.deepEqual(await list(server, '/identities', 'identities'), ['Bill', 'alice', 'bob'])
  assert.deepEqual(await list(server, '/identities?sort=since', 'identities'), ['bob', 'alice', 'Bill'])
  assert.deepEqual(await list(server, '/identities?search=b&sort=-since', 'identities'), ['Bill', 'bob'])
  for (const sort of ['name', '-name', 'since', '-since']) {
    const whole = await list(server, `/identities?sort=${sort}`, 'identities')
    assert.deepEqual(names((await pages(server, `/identities?sort=${sort}&limit=1`, 'identities')).flat()), whole, sort)
  }
  const { total, identities } = await server.ok('GET', '/identities?total=true&search=B&limit=1')
  assert.deepEqual([total, identities[0].peer, identities[0].algorithm], [2, 'Bill', 'ed25519'])
  assert.equal((await server.ok('GET', '/identities?network=nowhere&total=true')).total, 0)
})

test('networks are searched and counted', async (t) => {
  const server = await startAdministered(t)
  await server.addNetworks('team', 'Tea', 'other')
  const { networks, total } = await server.ok('GET', '/networks?search=TEA&limit=1')
  assert.deepEqual([networks[0].uid, total], ['Tea', 2])
})

test('a page of identities is read from an index, by name, by age and by search, whatever the page', async (t) => {
  const server = await startAdministered(t)
  const { sql, plansOf } = await explainedSql(t, server.databaseUrl)
  await sql`
    insert into identity (network, peer, algorithm, signing_key, registered_at)
    select 'signaling', 'peer-' || n, 'ed25519', '\\x00', now() - n * interval '1 second' from generate_series(1, 20000) as n`
  await sql`analyze identity`
  const page = { limit: 10, ms: 5_000 }
  for (const key of ['name', 'since'] as const) {
    for (const search of key === 'name' ? [undefined, 'peer-1999'] : [undefined]) {
      for (const isDescending of [false, true]) {
        const read = (after?: Parameters<typeof listIdentities>[3]) =>
          listIdentities(sql, { network: undefined, search }, { key, isDescending }, after, page)
        const last = (await read()).at(-1)!
        const plan = await plansOf(() => read({ ...last, value: last.since }))
        const rows = plan.filter(({ table }) => table === 'identity').reduce((sum, node) => sum + node.rows, 0)
        assert.ok(rows > 0 && rows <= 40, `${key} ${search} ${isDescending}: ${JSON.stringify(plan)}`)
      }
    }
  }
})

test('mailboxes are listed, searched and sorted from one index, without a look at the table of bodies', async (t) => {
  const server = await startAdministered(t)
  const { sql, plansOf } = await explainedSql(t, server.databaseUrl)
  await sql`
    insert into queue_entry (network, sender, recipient, key_id, sealed, size_bytes, slot, accepted_at, expires_at)
    select 'signaling', 'alice', 'box-' || n % 500, md5(n::text), '"x"', 3, false, n, 1e15 from generate_series(1, 5000) as n`
  await sql`vacuum (analyze) queue_entry`
  const readsOf = async (read: () => PromiseLike<{ network: string; withheld?: number }[]>) => {
    let found: { network: string; withheld?: number }[] = []
    const nodes = await plansOf(async () => {
      found = await read()
    })
    assert.ok(found.length > 0)
    assert.ok(found.every(({ withheld = 10 }) => withheld === 10))
    const reads = nodes.filter(({ table }) => table === 'queue_entry')
    const scans = new Set(reads.map(({ type, index }) => `${type} ${index}`))
    assert.deepEqual([...scans], ['Index Only Scan queue_entry_pkey'])
    return reads.reduce((sum, { rows }) => sum + rows, 0)
  }
  for (const search of [undefined, 'box-12']) {
    const filter = { network: undefined, recipient: undefined, search }
    for (const key of MAILBOX_ORDERS) {
      const order = { key, isDescending: true }
      await readsOf(() => sortMailboxes(sql, filter, order, undefined, { limit: 10, ms: 5_000 }))
    }
    const rows = await readsOf(() => listMailboxes(sql, filter, ['signaling', 'box-1'], 10))
    assert.ok(rows <= 700, `${rows} rows of 5,000 were read for a page of 10 mailboxes, after 500 names at most`)
  }
  await readsOf(() => readQueueStats(sql, ['signaling']))
})
