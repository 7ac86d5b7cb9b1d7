import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { Value } from '@sinclair/typebox/value'
import { pino } from 'pino'
import { StatsAnswer } from '../../plugins/admin/stats.ts'
import { startPostgres } from '../helpers/database.ts'
import { sendFrame } from '../helpers/l2ps-peer.ts'
import { quickIdentity } from '../helpers/peer.ts'
import { held, message, startAdministered, store, TOKEN } from './helpers.ts'

const KEY = 'ab'.repeat(32)
const cursor = (place: unknown) => Buffer.from(JSON.stringify(place)).toString('base64url')

test('a request that is not of the shape it must have is refused by the name of its field, and changes nothing', async (t) => {
  const server = await startAdministered(t)
  await server.addNetworks('team')
  await store(await server.join('alice'), ['bob', 1])
  const lists = ['/queues', '/queues/signaling/bob', '/peers', '/networks', '/networks/team/members']
  const queries = [
    ...['limit=0', 'limit=201', 'limit=-1', 'limit=1.5', 'limit=1e2', 'limit=', 'limit=x', 'limit=1&limit=2'],
    ...[
      'cursor=',
      'cursor=x',
      'cursor=%00',
      `cursor=${cursor({})}`,
      `cursor=${cursor(['a', 'b', 'c'])}`,
      'cursor=bnVsbA'
    ],
    ...[
      `cursor=${cursor(['\0', '\0'])}`,
      `cursor=${cursor([-1])}`,
      `cursor=${cursor(['x'])}=`,
      `cursor=${'A'.repeat(4_097)}`
    ]
  ]
  const wrong: [method: string, path: string, field: string, body?: unknown][] = [
    ...lists.flatMap((list) =>
      queries.map((query) => ['GET', `${list}?${query}`, `query/${query.split('=')[0]}`] as [string, string, string])
    ),
    ...[...lists, '/stats', '/peers/signaling/alice', '/identities/signaling/alice', '/networks/team'].map(
      (path) => ['GET', `${path}?unknown=1`, 'query/unknown'] as [string, string, string]
    ),
    ['GET', '/queues?network=', 'query/network'],
    ['GET', '/queues?__proto__=x', 'query/__proto__'],
    ['GET', '/queues/signaling/%00', 'params/recipient'],
    ['GET', `/queues/${'x'.repeat(129)}/bob`, 'params/network'],
    ['GET', `/peers/signaling/${'x'.repeat(257)}`, 'params/peer'],
    ['DELETE', '/queues/signaling/bob?olderthanSeconds=1', 'query/olderthanSeconds'],
    ['DELETE', '/queues/signaling/bob?olderThanSeconds=-1', 'query/olderThanSeconds'],
    ['DELETE', '/queues/signaling/bob?dryRun=yes', 'query/dryRun'],
    ['DELETE', '/queues/signaling/bob?dryrun=true', 'query/dryrun'],
    ['DELETE', '/queues/signaling/bob?sender=', 'query/sender'],
    ['DELETE', '/peers/signaling/alice?dryRun=true', 'query/dryRun'],
    ['DELETE', '/identities/signaling/alice?force=1', 'query/force'],
    ['DELETE', '/networks/team?Force=true', 'query/Force'],
    ['DELETE', '/networks/%00', 'params/uid'],
    ['PUT', `/networks/a%00b/members/${KEY}`, 'params/uid'],
    ['POST', '/queues/signaling/bob/requeue', 'body', undefined],
    ['POST', '/queues/signaling/bob/requeue', 'body', []],
    ['POST', '/queues/signaling/bob/requeue', 'body/withheld', { withheld: 'true' }],
    ['POST', '/queues/signaling/bob/requeue', 'body/recipient', { recipient: 'carol' }],
    ['POST', '/networks', 'body/uid', {}],
    ['POST', '/networks', 'body/name', { uid: 'new', name: 'a\0b' }],
    ['POST', '/networks', 'body/name', { uid: 'new', name: 'x'.repeat(257) }],
    ['POST', '/networks', 'body/enabled', { uid: 'new', enabled: null }],
    ['POST', '/networks', 'body/source', { uid: 'new', source: 'file' }],
    ['PATCH', '/networks/team', 'body/enabled', { enabled: 1 }]
  ]
  for (const [method, path, field, body] of wrong) {
    assert.equal(await server.refused('invalid-request', method, path, body), field, `${method} ${path}`)
  }
  for (const body of ['{', '', '{"uid":"new","__proto__":{"enabled":false}}', '{"uid":"new","uid":7}']) {
    await server.refused('invalid-request', 'POST', '/networks', body)
  }
  assert.deepEqual(await server.records(), [])
  assert.equal((await held(server)).entries, 1)
  assert.deepEqual(
    server.app.networks.list().map(({ uid }) => uid),
    ['team']
  )
})

test('a body that is too large, or no JSON, is refused as such, and so is a path that cannot be read', async (t) => {
  const server = await startAdministered(t)
  const large = { uid: 'new', description: 'x'.repeat(65_536) }
  await server.refused('too-large', 'POST', '/networks', large)
  const post = (type: string) =>
    fetch(`${server.addresses.http}/admin/networks`, {
      ...{ method: 'POST', body: 'uid=new' },
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': type }
    })
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/xml']) {
    const answer = await post(type)
    assert.deepEqual([answer.status, (await answer.json()).type], [415, '/docs/errors#not-json'])
  }
  await server.refused('invalid-request', 'GET', '/queues/signaling/%ff')
  await server.refused('invalid-request', 'GET', `/queues/signaling/${'x'.repeat(5_000)}`)
  await server.refused('not-found', 'GET', '/no-such-route')
  await server.refused('wrong-method', 'POST', '/stats', {})
  const wrong = await server.ask('PUT', '/queues/signaling/bob/7')
  assert.deepEqual([wrong.status, wrong.headers.get('allow')], [405, 'DELETE'])
  const elsewhere = await fetch(`${server.addresses.http}/health/live`, { method: 'POST' })
  assert.deepEqual([elsewhere.status, elsewhere.headers.get('allow')], [405, 'GET, HEAD'])
})

test('a token that asks too often is told when to ask again; its sockets are not touched', async (t) => {
  const server = await startAdministered(t, { ADMIN_REQUESTS_PER_MINUTE: 5 })
  const [alice, bob] = [await server.join('alice'), await server.join('bob')]
  for (let n = 0; n < 4; n++) await server.ok('GET', '/peers')
  const guess = () => fetch(`${server.addresses.http}/admin/peers`, { headers: { authorization: 'Bearer no' } })
  for (const status of [401, 401, 401, 401, 401, 429]) assert.equal((await guess()).status, status)
  await server.refused('not-found', 'GET', '/no-such-route')
  for (const path of ['/peers', '/no-such-route']) {
    const answer = await server.ask('GET', path)
    assert.deepEqual([answer.status, answer.body.type], [429, '/docs/errors#too-many-requests'])
    const seconds = Number(answer.headers.get('retry-after'))
    assert.ok(seconds >= 1 && seconds <= 60, String(seconds))
  }
  await server.refused('too-many-requests', 'DELETE', '/peers/signaling/bob')
  alice.send(message('bob', 'still here'))
  assert.equal((await bob.next('message')).payload.message, 'still here')
  await bob.nothingMore()
  assert.equal((await fetch(`${server.addresses.http}/health/live`)).status, 200)
})

test('while the database is away every route that needs it says so, and the others answer', async (t) => {
  const postgres = await startPostgres(t)
  const server = await startAdministered(t, { DATABASE_URL: postgres.url('postgres'), DATABASE_DEADLINE_MS: 500 })
  await server.addNetworks('team')
  await server.join('alice')
  await postgres.kill()
  const needy: [string, string, unknown?][] = [
    ...['/queues', '/queues/signaling/bob', '/identities/signaling/alice', '/networks', '/networks/team'].map(
      (path) => ['GET', path] as [string, string]
    ),
    ['GET', '/networks/team/members'],
    ['DELETE', '/queues/signaling/bob'],
    ['DELETE', '/queues/signaling?sender=alice'],
    ['POST', '/queues/signaling/bob/requeue', {}],
    ['DELETE', '/peers/signaling/alice'],
    ['DELETE', '/identities/signaling/alice'],
    ['POST', '/networks', { uid: 'new' }],
    ['PATCH', '/networks/team', { enabled: false }],
    ['DELETE', '/networks/team'],
    ['PUT', `/networks/team/members/${KEY}`],
    ['DELETE', `/networks/team/members/${KEY}`]
  ]
  for (const [method, path, body] of needy) {
    await server.refused('database-unavailable', method, path, body)
    assert.equal((await server.ask(method, path, body)).headers.get('retry-after'), '5', path)
  }
  assert.equal((await server.ok('GET', '/peers')).peers.length, 1, 'who could not be put on record is not closed')
  const stats = await server.ok('GET', '/stats')
  assert.deepEqual([stats.database.ok, stats.protocols.signaling.registered], [false, 1])
  await postgres.start()
})

test('stats count what happened, and are of their schema from the first moment on', async (t) => {
  const server = await startAdministered(t)
  const before = await server.ok('GET', '/stats')
  assert.ok(Value.Check(StatsAnswer, before), JSON.stringify([...Value.Errors(StatsAnswer, before)]))
  assert.deepEqual([before.protocols.signaling.sessions, before.protocols.signaling.acceptedTotal], [0, 0])
  const [alice, bob] = [await server.join('alice'), await server.join('bob')]
  alice.send(message('bob', 1))
  await bob.next('message')
  await server.emptied()
  await store(alice, ['carol', 1])
  alice.send(message('', 1))
  await alice.next()
  const after = await server.ok('GET', '/stats')
  const { sessions, registered, peers, acceptedTotal, deliveredTotal, refusedTotal } = after.protocols.signaling
  assert.deepEqual(
    { sessions, registered, peers, acceptedTotal, deliveredTotal, refusedTotal },
    {
      ...{ sessions: 2, registered: 2, peers: 2, acceptedTotal: 2, refusedTotal: 1 },
      deliveredTotal: { ack: 0, pong: 1, none: 0 }
    }
  )
  assert.equal(after.database.ok, true)
  assert.ok(after.uptimeSeconds >= before.uptimeSeconds && after.memory.rssBytes > 0)
})

test('no answer and no log line holds a body, a token, or what a query held', async (t) => {
  const lines: string[] = []
  const stream = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk))
      done()
    }
  })
  const server = await startAdministered(t, {}, { logger: pino({ level: 'trace' }, stream) })
  await server.addNetworks('team')
  const owner = await quickIdentity()
  await (await server.join('bob', owner)).close()
  const [alice, erin] = [await server.join('alice'), await server.enter('team')]
  await store(alice, ['bob', 'c2VjcmV0'])
  await erin.answerTo(erin.send(sendFrame(KEY, 'c2VjcmV0')))
  const asked: [string, string, unknown?][] = [
    ...['/stats', '/queues', '/queues/signaling/bob', `/queues/team/${KEY}`, '/peers', '/peers/signaling/alice'].map(
      (path) => ['GET', path] as [string, string]
    ),
    ...['/identities/signaling/bob', '/networks', '/networks/team', '/networks/team/members'].map(
      (path) => ['GET', path] as [string, string]
    ),
    ['GET', `/queues?token=${TOKEN}`],
    ['POST', `/networks?token=${TOKEN}`, '{'],
    ['POST', '/networks', { uid: 'signaling', name: 'c2VjcmV0' }],
    ['POST', '/queues/signaling/bob/requeue', {}],
    ['DELETE', `/queues/signaling/bob?sender=alice`],
    ['DELETE', '/identities/signaling/bob'],
    ['DELETE', '/networks/team?force=true']
  ]
  for (const [method, path, body] of asked) {
    const { text, status } = await server.ask(method, path, body)
    assert.ok(status < 500, text)
    assert.ok(!text.includes('c2VjcmV0') && !text.includes(TOKEN), `${method} ${path}: ${text}`)
  }
  for (const authorization of [`Bearer ${TOKEN}x`, `Basic ${TOKEN}`]) {
    const answer = await fetch(`${server.addresses.http}/admin/stats?token=${TOKEN}`, { headers: { authorization } })
    assert.ok(answer.status === 401 && !(await answer.text()).includes(TOKEN))
  }
  await server.close()
  const log = lines.join('')
  assert.match(log, /administration: changed/)
  for (const secret of ['c2VjcmV0', TOKEN]) assert.ok(!log.includes(secret), secret)
})
