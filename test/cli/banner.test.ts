import assert from 'node:assert/strict'
import { test } from 'node:test'
import { banner, serverFacts } from '../../src/cli/banner.ts'
import { readConfig } from '../../src/config/read.ts'

const ADDRESSES: Parameters<typeof serverFacts>[1] = {
  signaling: 'ws://127.0.0.1:3005',
  l2ps: 'ws://127.0.0.1:3006',
  http: 'http://127.0.0.1:3005',
  admin: 'http://127.0.0.1:3005'
}

function factsOf(env: Record<string, string> = {}, addresses = ADDRESSES) {
  const { config } = readConfig(env)
  assert.ok(config)
  return serverFacts(config, addresses, '1.2.3')
}

test('the banner says where everything is and what to do next', () => {
  const text = banner(factsOf(), { colours: false })
  for (const fact of [
    'demos-relay 1.2.3',
    'ws://127.0.0.1:3005',
    'ws://127.0.0.1:3006',
    'http://127.0.0.1:3005/console/',
    'http://127.0.0.1:3005/playground/',
    'http://127.0.0.1:3005/health/ready',
    'http://127.0.0.1:3005/metrics',
    'embedded PostgreSQL',
    './data',
    'npm run demo',
    'Ctrl-C'
  ]) {
    assert.ok(text.includes(fact), fact)
  }
})

test('the banner and the facts name the database without user and password', () => {
  const facts = factsOf({ DATABASE_URL: 'postgres://relay:correct-horse@db.example:5433/messages?password=staple' })
  assert.equal(facts.database, 'PostgreSQL at db.example:5433/messages')
  assert.doesNotMatch(banner(facts, { colours: false }) + JSON.stringify(facts), /correct-horse|staple/)
})

test('a database URL that only the driver can read is not repeated', () => {
  const { database } = factsOf({ DATABASE_URL: 'postgres://relay:correct-horse@one:5432,two:5432/messages' })
  assert.equal(database, 'PostgreSQL of DATABASE_URL')
})

test('a listener on any address is shown as one a client can connect to', () => {
  const any = factsOf(
    { HOST: '0.0.0.0' },
    { signaling: 'ws://0.0.0.0:3005/', l2ps: undefined, http: 'http://0.0.0.0:3005', admin: 'http://0.0.0.0:3005' }
  )
  assert.equal(any.signaling, 'ws://127.0.0.1:3005')
  assert.equal(any.health, 'http://127.0.0.1:3005/health/ready')
  const any6 = factsOf(
    { HOST: '::' },
    { signaling: 'ws://[::]:3005', l2ps: undefined, http: 'http://[::]:3005', admin: 'http://[::]:3005' }
  )
  assert.equal(any6.metrics, 'http://[::1]:3005/metrics')
})

test('the banner says so when the asked port was taken, and only then', () => {
  const moved = {
    signaling: 'ws://127.0.0.1:3006',
    l2ps: undefined,
    http: 'http://127.0.0.1:3006',
    admin: 'http://127.0.0.1:3006'
  }
  assert.deepEqual(factsOf({}, moved).takenPorts, { signaling: 3005 })
  assert.match(banner(factsOf({}, moved), { colours: false }), /port 3005 was taken/)
  assert.equal(factsOf().takenPorts, undefined)
  assert.equal(factsOf({ RPC_SIGNALING_PORT: '0' }, moved).takenPorts, undefined)
})

test('no line of the banner is wider than the terminal', () => {
  const env = { DATA_DIR: `/srv/${'deep/'.repeat(40)}end`, DATABASE_URL: `postgres://${'h'.repeat(200)}/x` }
  for (const width of [80, 40]) {
    const lines = banner(factsOf(env), { colours: false, width }).split('\n')
    for (const line of lines) assert.ok(line.length <= width, `${line.length}: ${line}`)
  }
})

test('without colours the banner is plain text', () => {
  assert.doesNotMatch(banner(factsOf(), { colours: false }), /\x1b/)
  assert.match(banner(factsOf(), { colours: true }), /\x1b\[1mdemos-relay\x1b\[0m/)
})

test('with ADMIN_PORT the console, the metrics and the health are where it listens', () => {
  const facts = factsOf({ ADMIN_PORT: '3007' }, { ...ADDRESSES, admin: 'http://127.0.0.1:3008' })
  assert.deepEqual(
    [facts.console, facts.metrics, facts.health],
    ['console/', 'metrics', 'health/ready'].map((path) => `http://127.0.0.1:3008/${path}`)
  )
  assert.deepEqual(facts.takenPorts, { console: 3007 })
  assert.match(banner(facts, { colours: false }), /console .*3008.*\n +port 3007 was taken/)
})
