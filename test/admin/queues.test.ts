import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createIdentity } from '../../client/src/identity.ts'
import { sendFrame } from '../helpers/l2ps-peer.ts'
import { openPeer, quickIdentity, registerFrame } from '../helpers/peer.ts'
import { until } from '../helpers/wait.ts'
import { held, message, pages, startAdministered, store } from './helpers.ts'

test('mailboxes are listed page by page with what they hold, whatever comes and goes meanwhile', async (t) => {
  let ms = Date.now()
  const server = await startAdministered(t, {}, { now: () => ms })
  const alice = await server.join('alice')
  for (const name of ['b0', 'b1', 'b2', 'b3', 'b4', 'b5']) await store(alice, [name, 'x'], [name, 'yy'])
  ms += 90_000
  const found = await pages(server, '/queues?limit=2', 'queues', async (page) => {
    if (page !== 1) return
    await server.ok('DELETE', '/queues/signaling/b1')
    await store(alice, ['a', 'before this page'], ['b3a', 'behind it'])
  })
  assert.deepEqual(
    found.map((page) => page.map(({ recipient }) => recipient)),
    [['b0', 'b1'], ['b2', 'b3'], ['b3a', 'b4'], ['b5']]
  )
  assert.deepEqual(found[0]![0], {
    network: 'signaling',
    recipient: 'b0',
    entries: 2,
    bytes: JSON.stringify('x').length + JSON.stringify('yy').length,
    oldestAcceptedAt: new Date(ms - 90_000).toISOString(),
    oldestAgeSeconds: 90,
    withheld: 0
  })
  assert.deepEqual(await pages(server, '/queues?network=signaling&recipient=b5', 'queues'), [[found[3]![0]]])
  assert.deepEqual(await pages(server, '/queues?network=elsewhere', 'queues'), [[]])
})

test("a mailbox shows its messages' metadata page by page, and never a body", async (t) => {
  const server = await startAdministered(t)
  await server.addNetworks('net')
  const alice = await server.enter('net')
  const [to, hashes] = ['AB'.repeat(32), ['h0', 'h1', 'h2', 'h3', 'h4']]
  for (const hash of hashes) await alice.answerTo(alice.send(sendFrame(to, 'c2VjcmV0', hash)))
  const path = `/queues/net/${to}?limit=2`
  const found = await pages(server, path, 'entries', async (page) => {
    if (page === 1) await alice.answerTo(alice.send(sendFrame(to, 'c2VjcmV0', 'h5')))
  })
  assert.deepEqual(
    found.map((page) => page.map(({ digest }) => digest)),
    [
      ['h0', 'h1'],
      ['h2', 'h3'],
      ['h4', 'h5']
    ]
  )
  const { seq, acceptedAt, expiresAt, bytes, ...rest } = found[0]![0]
  assert.deepEqual(rest, {
    sender: alice.key,
    keyId: null,
    withheld: false,
    isMalformed: false,
    digest: 'h0',
    deliveries: 0
  })
  assert.ok(Number.isInteger(seq) && bytes > 0 && Date.parse(expiresAt) > Date.parse(acceptedAt))
  const answer = await server.ask('GET', path)
  assert.equal(answer.body.recipient, to.toLowerCase())
  assert.deepEqual([answer.body.total, answer.body.entries.length], [6, 2])
  assert.ok(!answer.text.includes('c2VjcmV0') && !answer.text.includes('ciphertext'))
})

test('an empty mailbox is shown empty; one in a network nobody knows is not found', async (t) => {
  const server = await startAdministered(t)
  const empty = { entries: [], total: 0, bytes: 0, withheld: 0, oldestAcceptedAt: null, oldestAgeSeconds: null }
  assert.deepEqual(await server.ok('GET', '/queues/signaling/nobody'), {
    ...{ network: 'signaling', recipient: 'nobody', nextCursor: null },
    ...empty
  })
  await server.refused('not-found', 'GET', '/queues/nowhere/nobody')
  await server.refused('not-found', 'DELETE', '/queues/nowhere/nobody')
  await server.refused('not-found', 'DELETE', '/queues/nowhere?sender=nobody')
  await server.refused('not-found', 'POST', '/queues/nowhere/nobody/requeue', {})
  assert.deepEqual(await server.records(), [])
})

test('a dry run counts exactly what the purge that follows deletes, by recipient, sender and age', async (t) => {
  let ms = Date.now()
  const server = await startAdministered(t, {}, { now: () => ms })
  const [alice, carol] = [await server.join('alice'), await server.join('carol')]
  await store(alice, ['bob', 'old'], ['bob', 'old, too'], ['dave', 'old'])
  await store(carol, ['bob', 'from carol'])
  ms += 60_000
  await store(alice, ['bob', 'new'], ['erin', 'new'])
  const cases = [
    { path: '/queues/signaling/bob?sender=alice&olderThanSeconds=60', entries: 2, records: [{ recipient: 'bob' }] },
    { path: '/queues/signaling/bob', entries: 2, records: [{ recipient: 'bob' }] },
    { path: '/queues/signaling?sender=alice', entries: 2, records: [{ recipient: 'dave' }, { recipient: 'erin' }] },
    { path: '/queues/signaling?olderThanSeconds=0', entries: 0, records: [] }
  ]
  for (const { path, entries, records } of cases) {
    const before = await held(server)
    const dry = await server.ok('DELETE', `${path}${path.includes('?') ? '&' : '?'}dryRun=true`)
    assert.equal(dry.dryRun, true)
    assert.deepEqual(await held(server), before, path)
    assert.deepEqual(await server.records(), [], path)
    const purged = await server.ok('DELETE', path)
    assert.deepEqual(purged, { purged: dry.purged, dryRun: false })
    assert.equal(purged.purged.entries, entries, path)
    const left = before.entries - entries
    assert.deepEqual(await held(server), { entries: left, sender: left, recipient: left }, path)
    const found = await server.records()
    assert.deepEqual(
      found
        .map(({ kind, network, recipient }) => ({ kind, network, recipient }))
        .sort((one, other) => (one.recipient! < other.recipient! ? -1 : 1)),
      records.map((record) => ({ kind: 'purge', network: 'signaling', ...record })),
      path
    )
    assert.equal(
      found.reduce((sum, record) => sum + record.entries!, 0),
      entries
    )
    assert.equal(
      found.reduce((sum, record) => sum + record.bytes!, 0),
      purged.purged.bytes
    )
  }
})

test('a purged message is never delivered, gives its slot back, and is given up in history', async (t) => {
  const server = await startAdministered(t, { SIGNALING_QUOTA_PER_SENDER: 2 })
  const owner = await quickIdentity()
  await (await server.join('bob', owner)).close()
  const alice = await server.join('alice')
  await store(alice, ['bob', 1], ['bob', 2])
  alice.send(message('bob', 3))
  assert.equal((await alice.next()).type, 'error')
  await server.ok('DELETE', '/queues/signaling/bob?sender=alice')
  await store(alice, ['bob', 4])
  const bob = await server.join('bob', owner)
  assert.equal((await bob.next('message')).payload.message, 4)
  await bob.nothingMore()

  await server.addNetworks('net')
  const erin = await server.enter('net')
  await erin.answerTo(erin.send(sendFrame('ab'.repeat(32))))
  await server.ok('DELETE', `/queues/net/${'AB'.repeat(32)}?sender=${erin.key.toUpperCase()}`)
  const [kept] = await server.app.database.sql`select reason from given_up join message using (seq)`
  assert.equal(kept?.reason, 'purged')
})

test('one message is deleted by its place, with a record, and its slot is free again; the others stay', async (t) => {
  const server = await startAdministered(t, { SIGNALING_QUOTA_PER_SENDER: 3 })
  const owner = await quickIdentity()
  await (await server.join('bob', owner)).close()
  const alice = await server.join('alice')
  await store(alice, ['bob', 1], ['bob', 'two'], ['bob', 3])
  const places = (await server.ok('GET', '/queues/signaling/bob')).entries.map(({ seq }: { seq: number }) => seq)
  const two = { entries: 1, bytes: JSON.stringify('two').length }
  const path = `/queues/signaling/bob/${places[1]}`
  assert.deepEqual(await server.ok('DELETE', path), { purged: two, dryRun: false })
  assert.deepEqual(await server.records(), [{ kind: 'purge', network: 'signaling', recipient: 'bob', ...two }])
  assert.deepEqual(await held(server), { entries: 2, sender: 2, recipient: 2 })
  const left = await server.ok('GET', '/queues/signaling/bob')
  assert.deepEqual(
    [left.total, left.bytes, left.entries.map(({ seq }: { seq: number }) => seq)],
    [2, 2, [places[0], places[2]]]
  )
  await store(alice, ['bob', 4])

  await server.refused('not-found', 'DELETE', path)
  const bob = await server.join('bob', owner)
  for (const body of [1, 3, 4]) assert.equal((await bob.next('message')).payload.message, body)
  await bob.nothingMore()
})

test('a message is deleted only from the mailbox it is in, and a place must be a whole number from 1 on', async (t) => {
  const server = await startAdministered(t)
  await server.addNetworks('net')
  await store(await server.join('alice'), ['bob', 1])
  const [{ seq }] = (await server.ok('GET', '/queues/signaling/bob')).entries
  for (const path of [`signaling/carol/${seq}`, `net/bob/${seq}`, `nowhere/bob/${seq}`, `signaling/bob/${seq + 1}`]) {
    await server.refused('not-found', 'DELETE', `/queues/${path}`)
  }
  for (const place of ['0', '-1', '1.5', '1e2', 'x', '01', `${seq}%20`, '9'.repeat(30)]) {
    assert.equal(await server.refused('invalid-request', 'DELETE', `/queues/signaling/bob/${place}`), 'params/seq')
  }
  assert.deepEqual(await server.records(), [])
  assert.equal((await held(server)).entries, 1)
})

test('a message of an L2PS network is deleted by its place, and is given up in history', async (t) => {
  const server = await startAdministered(t)
  await server.addNetworks('net')
  const erin = await server.enter('net')
  const to = 'ab'.repeat(32)
  await erin.answerTo(erin.send(sendFrame(to)))
  const [{ seq }] = (await server.ok('GET', `/queues/net/${to}`)).entries
  await server.ok('DELETE', `/queues/net/${to.toUpperCase()}/${seq}`)
  const [kept] = await server.app.database.sql`select reason from given_up join message using (seq)`
  assert.equal(kept?.reason, 'purged')
  assert.deepEqual(await held(server), { entries: 0, sender: 0, recipient: 0 })
})

test('a whole network is not purged by leaving the filters out', async (t) => {
  const server = await startAdministered(t)
  await store(await server.join('alice'), ['bob', 1])
  assert.equal(await server.refused('invalid-request', 'DELETE', '/queues/signaling'), 'query')
  assert.equal(await server.refused('invalid-request', 'DELETE', '/queues/signaling?dryRun=true'), 'query')
  assert.equal((await held(server)).entries, 1)
})

test('a purge that races with delivery: each message is received or purged, and the quotas are exact', async (t) => {
  const server = await startAdministered(t, { SIGNALING_QUOTA_PER_SENDER: 10_000 })
  const owner = await quickIdentity()
  await (await server.join('bob', owner)).close()
  const alice = await server.join('alice')
  const count = 400
  await store(alice, ...Array.from({ length: count }, (_, n) => ['bob', { n }] as const))
  const joining = server.join('bob', owner)
  let purged = 0
  for (let round = 0; round < 10; round++) {
    for (let n = 0; n < 20; n++) alice.send(message('bob', { n: count + round * 20 + n }))
    purged += (await server.ok('DELETE', '/queues/signaling/bob?sender=alice')).purged.entries
  }
  const bob = await joining
  alice.send({ type: 'discover', payload: {}, timestamp: 1 })
  await alice.next('discover')
  await server.emptied()
  assert.deepEqual(await held(server), { entries: 0, sender: 0, recipient: 0 })
  const received: number[] = []
  bob.send({ type: 'discover', payload: {}, timestamp: 1 })
  for (;;) {
    const { type, payload } = await bob.next()
    if (type === 'discover') break
    received.push(payload.message.n)
  }
  t.diagnostic(`${received.length} received, ${purged} purged`)
  assert.equal(new Set(received).size, received.length)
  assert.deepEqual(
    received,
    received.toSorted((one, other) => one - other)
  )
  // What was written to bob but not receipted yet may be purged: then it is both.
  assert.ok(received.length + purged >= count + 200, `${received.length} + ${purged}`)
  const records = await server.records()
  assert.equal(
    records.reduce((sum, { entries }) => sum + entries!, 0),
    purged
  )
})

test('what is withheld since its recipient changed keys reaches it once it is queued again', async (t) => {
  const server = await startAdministered(t)
  const owner = await quickIdentity()
  await (await server.join('bob', owner)).close()
  const alice = await server.join('alice')
  await store(alice, ['bob', 'for the old key'])
  const bob = await server.join('bob', { ...owner, publicKey: crypto.getRandomValues(new Uint8Array(36)) })
  await bob.nothingMore()
  await server.records()
  const [mailbox] = (await server.ok('GET', '/queues')).queues
  assert.deepEqual([mailbox.entries, mailbox.withheld], [1, 1])
  const shown = await server.ok('GET', '/queues/signaling/bob')
  assert.equal(shown.entries[0].withheld, true)
  assert.match(shown.entries[0].keyId, /^[0-9a-f]{32}$/)

  const path = '/queues/signaling/bob/requeue'
  assert.deepEqual(await server.ok('POST', path, { withheld: true, sender: 'carol' }), { requeued: { entries: 0 } })
  assert.deepEqual(await server.records(), [])
  assert.deepEqual(await server.ok('POST', path, { withheld: true, sender: 'alice' }), { requeued: { entries: 1 } })
  assert.equal((await bob.next('message')).payload.message, 'for the old key')
  await server.emptied()
  await bob.nothingMore()
  assert.deepEqual(await server.records(), [
    { network: 'signaling', kind: 'administration', digest: 'requeue', sender: 'bob', entries: 1 }
  ])
  assert.deepEqual(await held(server), { entries: 0, sender: 0, recipient: 0 })
})

test('what its recipient could not open is withheld as malformed, and delivered once another kind of client registers', async (t) => {
  const server = await startAdministered(t)
  const owner = await createIdentity()
  const alice = await server.join('alice')
  await store(alice, ['newcomer', 'plain text'])
  const newcomer = await server.join('newcomer', owner)
  await newcomer.nothingMore()
  const shown = async () => {
    const { withheld, entries } = await server.ok('GET', '/queues/signaling/newcomer')
    return [
      withheld,
      ...entries.map((entry: object) => Reflect.get(entry, 'keyId') ?? Reflect.get(entry, 'isMalformed'))
    ]
  }
  await until('it is withheld', async () => (await shown())[0] === 1)
  assert.deepEqual(await shown(), [1, true])

  const requeue = () => server.ok('POST', '/queues/signaling/newcomer/requeue', { withheld: true })
  assert.deepEqual(await requeue(), { requeued: { entries: 1 } })
  await until('it is judged again', async () => (await shown())[0] === 1)
  await newcomer.nothingMore()
  await newcomer.close()
  const again = await server.join('newcomer', owner)
  await again.nothingMore()
  await again.close()

  const other = await server.join('newcomer', { ...owner, publicKey: crypto.getRandomValues(new Uint8Array(36)) })
  assert.equal((await other.next('message')).payload.message, 'plain text')
  await server.emptied()
})

test('what is queued again has a fresh time to live, keeps its place, and comes to a recipient that is here once', async (t) => {
  let ms = Date.now()
  const server = await startAdministered(t, { QUEUE_TTL_SECONDS: 3_600 }, { now: () => ms })
  const owner = await quickIdentity()
  const bob = await openPeer(t, server.addresses.signaling)
  bob.send(await registerFrame('bob', owner, { features: ['ack'] }))
  await bob.next('register')
  const alice = await server.join('alice')
  for (const n of [1, 2]) alice.send(message('bob', n))
  for (const n of [1, 2]) assert.equal((await bob.next('message')).payload.message, n)
  ms += 1_800_000
  assert.deepEqual(await server.ok('POST', '/queues/signaling/bob/requeue', {}), { requeued: { entries: 2 } })
  await bob.nothingMore() // both are under way already
  const { entries } = await server.ok('GET', '/queues/signaling/bob')
  assert.deepEqual(
    entries.map(({ expiresAt }: { expiresAt: string }) => Date.parse(expiresAt)),
    [ms + 3_600_000, ms + 3_600_000]
  )
  await bob.close()
  const again = await server.join('bob', owner)
  for (const n of [1, 2]) assert.equal((await again.next('message')).payload.message, n)
  await again.nothingMore()
})

test('while others are under way, what is freed comes between, and nothing comes twice', async (t) => {
  const server = await startAdministered(t)
  const owner = await quickIdentity()
  await (await server.join('bob', owner)).close()
  const alice = await server.join('alice')
  await store(alice, ['bob', 'withheld 1'], ['bob', 'withheld 2'])
  const bob = await openPeer(t, server.addresses.signaling)
  const rekeyed = { ...owner, publicKey: crypto.getRandomValues(new Uint8Array(36)) }
  bob.send(await registerFrame('bob', rekeyed, { features: ['ack'] }))
  await bob.next('register')
  alice.send(message('bob', 'not receipted'))
  assert.equal((await bob.next('message')).payload.message, 'not receipted')
  await server.ok('POST', '/queues/signaling/bob/requeue', { withheld: true })
  for (const n of [1, 2]) assert.equal((await bob.next('message')).payload.message, `withheld ${n}`)
  alice.send(message('bob', 'later'))
  const last = await bob.next('message')
  assert.equal(last.payload.message, 'later')
  bob.send({ type: 'ack', payload: { seq: last.payload.seq } })
  await server.emptied()
  await bob.nothingMore()
})

test('a large mailbox is queued again and purged in steps, each with its own record of what it did', async (t) => {
  const server = await startAdministered(t)
  const { sql } = server.app.database
  await sql`
    insert into queue_entry (network, sender, recipient, sealed, size_bytes, slot, accepted_at, expires_at)
    select 'signaling', 'alice', 'bob', '"x"', 3, false, n, 10000000000000 from generate_series(1, 4500) as n`
  assert.deepEqual(await server.ok('POST', '/queues/signaling/bob/requeue', {}), { requeued: { entries: 4_500 } })
  const dry = await server.ok('DELETE', '/queues/signaling/bob?dryRun=true')
  const { purged } = await server.ok('DELETE', '/queues/signaling/bob')
  assert.deepEqual([dry.purged, purged], Array(2).fill({ entries: 4_500, bytes: 13_500 }))
  assert.deepEqual(
    (await server.records()).map(({ kind, entries, bytes }) => [kind, entries, bytes]),
    [
      ...[2_000, 2_000, 500].map((entries) => ['administration', entries, undefined]),
      ...[2_000, 2_000, 500].map((entries) => ['purge', entries, 3 * entries])
    ]
  )
})
