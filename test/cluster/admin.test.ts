// The administration of a cluster: from any relay, all of them.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Bus } from '../../src/cluster/bus.ts'
import type { ServerOptions } from '../../src/server.ts'
import { type AdministeredServer, administered, message, pages, store } from '../admin/helpers.ts'
import { type Peer, quickIdentity, quickSigner } from '../helpers/peer.ts'
import { CLUSTER_TOKEN, type Settings } from '../helpers/server.ts'
import { until } from '../helpers/wait.ts'
import { BUSES, type BusName, onBus, startCluster } from './relays.ts'

type Relays = [AdministeredServer, AdministeredServer]

/** Two relays whose audit records nobody takes away, so that a test can count them. */
async function startRelays(
  t: TestContext,
  bus: BusName = 'postgres',
  settings: Settings = {},
  options: ServerOptions = {}
): Promise<Relays> {
  const settled = { ADMIN_REQUESTS_PER_MINUTE: 100_000, ...settings }
  const { relays } = await startCluster(t, 2, bus, settled, { withoutAudit: true, ...options })
  return relays.map((relay) => administered(relay, CLUSTER_TOKEN)) as Relays
}

async function addNetwork(relays: Relays, uid: string): Promise<void> {
  await relays[0].addNetworks(uid)
  await relays[1].app.networks.refresh()
}

/** A bus on which no question is answered while `silent.isOn`. */
const silentBus = (silent: { isOn: boolean }) => (bus: Bus) =>
  new Proxy(bus, {
    get: (target, key) => {
      if (key === 'ask' && silent.isOn) return async () => 'silent'
      const value = Reflect.get(target, key, target) as unknown
      return typeof value === 'function' ? value.bind(target) : value
    }
  })

interface Listed {
  readonly network: string
  readonly peer: string
  readonly sessions: readonly { readonly relay: string; readonly relayId: string }[]
}

const places = (peers: readonly Listed[]) =>
  peers.map(({ peer, sessions }) => `${peer} at ${sessions.map(({ relay }) => relay).join(' and ')}`)

for (const bus of BUSES) {
  test(
    `a peer of any relay is listed, shown and closed from any other, and put on record once (${bus})`,
    onBus(bus),
    async (t) => {
      const relays = await startRelays(t, bus)
      const [one, two] = relays
      await addNetwork(relays, 'net')
      const signer = await quickSigner()
      const phone = await one.enter('net', signer)
      const desk = await two.enter('net', signer)
      await one.join('alice')
      const bob = await two.join('bob')
      for (const relay of relays) {
        const { peers, total, nextCursor } = await relay.ok('GET', '/peers')
        assert.deepEqual(places(peers), [`${phone.key} at relay-1 and relay-2`, 'alice at relay-1', 'bob at relay-2'])
        assert.deepEqual([total, nextCursor], [3, null])
        const shown = await relay.ok('GET', '/peers/signaling/bob')
        const [session] = shown.sessions
        assert.deepEqual(
          [session.relay, session.relayId, session.receipt, session.address, session.window],
          ['relay-2', two.app.cluster!.id, 'pong', '127.0.0.1', { messages: 0, bytes: 0 }]
        )
        assert.deepEqual(shown.relays, [{ id: two.app.cluster!.id, name: 'relay-2', sessions: 1 }])
        assert.equal('unanswered' in shown, false)
      }
      assert.deepEqual(await one.ok('DELETE', '/peers/signaling/bob'), { closed: 1 })
      assert.equal((await bob.closed).code, 4004)
      assert.deepEqual(await two.ok('DELETE', `/peers/net/${phone.key.toUpperCase()}`), { closed: 2 })
      for (const peer of [phone, desk]) assert.equal((await peer.closed).code, 4004)
      for (const relay of relays) {
        await until('it is seen nowhere', async () => (await relay.ask('GET', '/peers/signaling/bob')).status === 404)
        await relay.refused('not-found', 'DELETE', '/peers/signaling/bob')
        await relay.refused('not-found', 'GET', '/peers/nowhere/bob')
      }
      assert.deepEqual(await one.records(), [
        { network: 'signaling', kind: 'administration', digest: 'sessionClose', sender: 'bob' },
        { network: 'net', kind: 'administration', digest: 'sessionClose', sender: phone.key }
      ])
    }
  )

  test(`a page of many peers of another relay has the sessions of each (${bus})`, onBus(bus), async (t) => {
    const [one, two] = await startRelays(t, bus)
    const names = Array.from({ length: 120 }, (_, at) => `${'ä"'.repeat(60)} ${String(at).padStart(3, '0')}`)
    const owner = await quickIdentity()
    for (let at = 0; at < names.length; at += 30) {
      await Promise.all(names.slice(at, at + 30).map((name) => two.join(name, owner)))
    }
    for (const sort of ['name', 'sessions']) {
      const { peers, total } = await one.ok('GET', `/peers?limit=200&sort=${sort}`)
      assert.deepEqual(
        peers.map(({ peer, sessions }: Listed) => [peer, sessions.length]),
        names.map((name) => [name, 1])
      )
      assert.equal(total, 120)
    }
  })
}

test('peers of a cluster are listed by name up and down, searched and counted, page by page', async (t) => {
  const relays = await startRelays(t)
  const [one, two] = relays
  await addNetwork(relays, 'net')
  const { key } = await one.enter('net')
  const names = ['Bill', 'a%b', 'alice', 'bob', 'zoë']
  for (const [at, name] of names.entries()) await relays[at % 2]!.join(name)
  const listed = async (query: string, limit = 200) => {
    const found = await pages(two, `/peers?limit=${limit}${query}`, 'peers')
    return found.flat().map(({ peer }) => peer)
  }
  for (const limit of [1, 2, 200]) {
    assert.deepEqual(await listed('', limit), [key, ...names], `${limit} a page`)
    assert.deepEqual(await listed('&sort=-name', limit), [...names].reverse().concat(key), `${limit} a page`)
    assert.deepEqual(await listed('&network=signaling&search=B', limit), ['Bill', 'bob'])
  }
  assert.deepEqual(await listed('&search=a%25'), ['a%b'])
  assert.deepEqual(await listed('&network=net'), [key])
  assert.deepEqual(await listed('&relay=relay-2', 1), ['a%b', 'bob'])
  assert.deepEqual(await listed(`&relay=${one.app.cluster!.id}&search=BI`), ['Bill']) // no key has an i
  assert.deepEqual(await listed('&relay=relay-2&sort=since'), ['a%b', 'bob'])
  for (const sort of ['name', 'since']) {
    const none = await one.ok('GET', `/peers?relay=nowhere&sort=${sort}`)
    assert.deepEqual([none.peers, none.total], [[], 0])
  }
  const { total, peers } = await one.ok('GET', '/peers?network=signaling&search=b&limit=1')
  assert.deepEqual([total, peers.length], [2, 1])
  assert.deepEqual((await one.ok('GET', '/peers?network=nowhere')).peers, [])
})

test('in an order that only the relays know, each sorts its own: no gap, no double, a peer at two is there twice', async (t) => {
  const relays = await startRelays(t)
  const [one, two] = relays
  await addNetwork(relays, 'net')
  const signer = await quickSigner()
  const phone = await one.enter('net', signer)
  await one.enter('net', signer)
  await two.enter('net', signer)
  for (const [at, name] of ['alice', 'bob', 'Carol', 'dave'].entries()) await relays[at % 2]!.join(name)
  const ids = relays.map(({ app }) => app.cluster!.id)
  const everyone = [
    ...[`${phone.key} at relay-1 and relay-1`, `${phone.key} at relay-2`],
    ...['Carol at relay-1', 'alice at relay-1', 'bob at relay-2', 'dave at relay-2']
  ]
  for (const relay of relays) {
    for (const sort of ['since', '-since', 'round-trip', '-unreceipted', 'buffered', 'sessions', '-sessions']) {
      const { peers, total } = await relay.ok('GET', `/peers?sort=${sort}`)
      const whole = places(peers)
      assert.deepEqual([whole.toSorted(), total], [everyone.toSorted(), 6], sort)
      for (const limit of [1, 2]) {
        const found = await pages(relay, `/peers?sort=${sort}&limit=${limit}`, 'peers')
        assert.deepEqual(places(found.flat()), whole, `${sort}, ${limit} a page`)
      }
    }
    const most = (await relay.ok('GET', '/peers?sort=-sessions&limit=1')).peers
    assert.deepEqual(places(most), [everyone[0]])
    const oldest = (await relay.ok('GET', '/peers?sort=since&network=signaling&search=C')).peers
    assert.deepEqual(places(oldest), ['Carol at relay-1'])
  }
  const tied = await one.ok('GET', '/peers?sort=buffered&network=net')
  assert.deepEqual(
    tied.peers.map(({ sessions }: Listed) => sessions[0]!.relayId),
    ids.toSorted(),
    'equal ones by the id of the relay'
  )
})

test('a relay that does not answer: its peers are listed with it, and what is not known of them is said', async (t) => {
  const silent = { isOn: false }
  const [one, two] = await startRelays(t, 'postgres', {}, { throughBus: silentBus(silent) })
  await one.join('alice')
  const bob = await two.join('bob')
  silent.isOn = true
  const { peers, total } = await one.ok('GET', '/peers')
  const unanswered = {
    ...{ network: 'signaling', peer: 'bob', sessions: [], unanswered: true },
    relays: [{ id: two.app.cluster!.id, name: 'relay-2', sessions: 1 }]
  }
  assert.deepEqual([places(peers.slice(0, 1)), peers[1], total], [['alice at relay-1'], unanswered, 2])
  assert.deepEqual(await one.ok('GET', '/peers/signaling/bob'), unanswered)
  const sorted = await one.ok('GET', '/peers?sort=since')
  assert.deepEqual([places(sorted.peers), sorted.unanswered], [['alice at relay-1'], ['relay-2']])
  assert.deepEqual(await one.ok('DELETE', '/peers/signaling/bob'), { closed: 0, unanswered: ['relay-2'] })
  await bob.nothingMore()
  const released = await one.ok('DELETE', '/identities/signaling/bob')
  assert.deepEqual(released, { released: true, purged: { entries: 0, bytes: 0 }, unanswered: ['relay-2'] })
  silent.isOn = false
  assert.deepEqual(await one.ok('DELETE', '/peers/signaling/bob'), { closed: 1 })
  assert.equal((await bob.closed).code, 4004)
})

test('what a relay of another version answers, or asks, is passed over', async (t) => {
  const silent = { isOn: false }
  const odd = (bus: Bus) =>
    new Proxy(silentBus(silent)(bus), {
      get: (target, key) => {
        if (key === 'ask' && silent.isOn) return async () => Buffer.from('{"sessions":[{"since":1}]}')
        return Reflect.get(target, key) as unknown
      }
    })
  const [one, two] = await startRelays(t, 'postgres', {}, { throughBus: odd })
  await two.join('bob')
  silent.isOn = true
  assert.equal((await one.ok('GET', '/peers')).peers[0].unanswered, true)
  assert.deepEqual((await one.ok('GET', '/peers?sort=since')).unanswered, ['relay-2'])
  assert.deepEqual(await one.ok('DELETE', '/peers/signaling/bob'), { closed: 0, unanswered: ['relay-2'] })
  silent.isOn = false
  const { cluster } = one.app
  const top = { ask: 'top', key: 'a new order', isDescending: false, limit: 3 } as const
  assert.equal(await cluster!.ask(two.app.cluster!.id, top, 5_000), null)
})

async function next(peer: Peer, ...types: string[]) {
  for (;;) {
    const frame = await peer.next()
    if (types.includes(frame.type)) return frame
  }
}

test('a released name: its sessions are closed at all relays, and none of them hands out its key', async (t) => {
  const now = Date.now() // stands still, so that what is remembered of a key never gets too old
  const [one, two] = await startRelays(t, 'postgres', {}, { now: () => now })
  const owner = await quickIdentity()
  const bob = await two.join('bob', owner)
  const askers = [await one.join('alice'), await two.join('carol')]
  const keys = async () => {
    const answers = []
    for (const peer of askers) {
      peer.send({ type: 'request_public_key', payload: { targetId: 'bob' }, timestamp: 1 })
      answers.push(await next(peer, 'public_key_response', 'error'))
    }
    return answers
  }
  assert.deepEqual(
    (await keys()).map(({ type }) => type),
    ['public_key_response', 'public_key_response']
  )
  assert.deepEqual(await one.ok('DELETE', '/identities/signaling/bob'), {
    released: true,
    purged: { entries: 0, bytes: 0 }
  })
  assert.equal((await bob.closed).code, 4004)
  await until('the key is not handed out', async () => (await keys()).every(({ type }) => type === 'error'))
  assert.deepEqual(await two.records(), [{ network: 'signaling', kind: 'identity-release', sender: 'bob' }])
  await one.join('bob')
  await assert.rejects(two.join('bob', owner), /CLIENT_ID_TAKEN/)
})

test('what is queued again, or purged, by one relay goes to, and is taken from, a recipient at another', async (t) => {
  const [one, two] = await startRelays(t)
  const owner = await quickIdentity()
  const alice = await one.join('alice')
  await (await two.join('bob', owner)).close()
  await alice.next('peer_disconnected') // from here on he is away for the other relay, too
  await store(alice, ['bob', 'for the old key'], ['carol', 'purged'])
  const bob = await two.join('bob', { ...owner, publicKey: crypto.getRandomValues(new Uint8Array(36)) })
  await bob.nothingMore()
  assert.deepEqual(await one.ok('POST', '/queues/signaling/bob/requeue', { withheld: true }), {
    requeued: { entries: 1 }
  })
  assert.equal((await bob.next('message')).payload.message, 'for the old key')
  assert.equal((await two.ok('DELETE', '/queues/signaling/carol')).purged.entries, 1)
  await one.emptied()
  await bob.nothingMore()
})

for (const bus of BUSES) {
  test(`every relay lists all relays, with what is connected to each (${bus})`, onBus(bus), async (t) => {
    const relays = await startRelays(t, bus)
    const [one, two] = relays
    await addNetwork(relays, 'net')
    const signer = await quickSigner()
    await one.join('alice')
    for (const relay of [one, two, two]) await relay.enter('net', signer)
    for (const relay of relays) {
      const answer = await relay.ok('GET', '/relays')
      assert.equal(answer.cluster, 'test')
      assert.deepEqual(
        answer.relays.map(({ version, startedAt, ...rest }: Record<string, string>) => {
          assert.match(version!, /^\d+\.\d+\.\d+/)
          assert.ok(Date.parse(startedAt!) <= Date.now() + 1_000)
          return rest
        }),
        [
          { name: 'relay-1', peers: { signaling: 1, l2ps: 1 }, sessions: 2 },
          { name: 'relay-2', peers: { signaling: 0, l2ps: 1 }, sessions: 2 }
        ].map((row, at) => ({
          ...{ ...row, id: relays[at]!.app.cluster!.id, bus },
          ...{ self: relays[at] === relay, busConnected: relays[at] === relay ? true : null }
        }))
      )
    }
    await two.close()
    await until('it is not listed any more', async () => (await one.ok('GET', '/relays')).relays.length === 1)
  })
}

test('in a cluster, too, a request that is not of the shape it must have is refused by the name of its field', async (t) => {
  const [one] = await startRelays(t)
  await one.join('alice')
  const cursor = (place: unknown) => Buffer.from(JSON.stringify(place)).toString('base64url')
  const wrong: [query: string, field: string][] = [
    ...['x', '%00', cursor({}), cursor(['name', 0, 'signaling']), cursor(['since', 0, 'net', 'bob', 'relay'])].map(
      (text): [string, string] => [`cursor=${text}`, 'cursor']
    ),
    ...[cursor({}), cursor(['since', 0, 'net', 'bob']), cursor(['since', 'x', 'net', 'bob', 'relay'])].map(
      (text): [string, string] => [`sort=since&cursor=${text}`, 'cursor']
    ),
    [`sort=since&cursor=${cursor(['-since', 0, 'net', 'bob', 'relay'])}`, 'cursor'],
    [`sort=-name&cursor=${cursor(['name', 0, 'net', 'bob'])}`, 'cursor'],
    ...['', 'id', '--name', 'relay'].map((text): [string, string] => [`sort=${text}`, 'sort']),
    ['limit=0', 'limit'],
    ['relay=', 'relay'],
    ['relay=%00', 'relay'],
    [`relay=${'x'.repeat(257)}`, 'relay'],
    ['search=', 'search']
  ]
  for (const [query, field] of wrong) {
    assert.equal(await one.refused('invalid-request', 'GET', `/peers?${query}`), `query/${field}`, query)
  }
  assert.equal(await one.refused('invalid-request', 'GET', '/relays?limit=1'), 'query/limit')
  await one.refused('wrong-method', 'DELETE', '/relays')
  assert.deepEqual(await one.records(), [])
})

/** Values of a metric of a relay, summed over the labels that are not given. */
async function metric({ addresses }: AdministeredServer, name: string, labels = ''): Promise<number | undefined> {
  const text = await (
    await fetch(`${addresses.http}/metrics`, { headers: { authorization: `Bearer ${CLUSTER_TOKEN}` } })
  ).text()
  const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) && line.includes(labels))
  return lines.length === 0 ? undefined : lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

test('metrics are those of each relay: summed, nothing is counted twice; what waits is shown by one', async (t) => {
  const relays = await startRelays(t)
  const [one, two] = relays
  const alice = await one.join('alice')
  const bob = await two.join('bob')
  for (const body of ['one', 'two', 'three']) alice.send(message('bob', body))
  for (let n = 0; n < 3; n++) await bob.next('message')
  bob.send(message('alice', 'back'))
  await alice.next('message')
  await one.emptied()
  await store(alice, ['carol', 'waits'], ['carol', 'waits, too'])
  const all = async (name: string) => {
    const values = await Promise.all(relays.map((relay) => metric(relay, name, 'protocol="signaling"')))
    return values.filter((value) => value !== undefined)
  }
  const sum = (values: readonly number[]) => values.reduce((all, value) => all + value, 0)
  assert.equal(sum(await all('demos_relay_sessions')), 2)
  assert.equal(sum(await all('demos_relay_messages_accepted_total')), 6)
  assert.equal(sum(await all('demos_relay_messages_delivered_total')), 4)
  await until('what waits is counted', async () => (await all('demos_relay_queue_entries')).includes(2))
  assert.deepEqual(await all('demos_relay_queue_entries'), [2])
  for (const relay of relays) {
    await until('every relay tells what waits', async () => {
      const { protocols } = await relay.ok('GET', '/stats')
      return protocols.signaling.queue.entries === 2
    })
  }
})
