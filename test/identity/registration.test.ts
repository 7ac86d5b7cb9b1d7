// Claims of names and entries into networks, many at a time: each gets its own answer, and a storm shares its commits.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { batched, lookUps } from '../../src/database/batched.ts'
import { openDatabase } from '../../src/database/database.ts'
import { Registration } from '../../src/identity/registration.ts'
import {
  type Claim,
  deleteUnused,
  enterKeys,
  findIdentities,
  findSigningKeys,
  type KeyEntry,
  readIdentity
} from '../../src/store/identity.ts'
import { createTestDatabase } from '../helpers/database.ts'
import { silentLog } from '../helpers/test-cluster.ts'

const NOW = 1_000_000

async function openStore(t: TestContext) {
  const { url } = await createTestDatabase(t)
  const database = await openDatabase({ url, dataDir: '', poolSize: 4, deadlineMs: 10_000 }, silentLog)
  t.after(() => database.close())
  const errors: string[] = []
  const log = { error: (facts: object, message: string) => void errors.push(`${message} ${JSON.stringify(facts)}`) }
  const registration = () => new Registration({ database, idleDays: 90, now: () => NOW, log })
  return { database, sql: database.sql, registration, errors }
}

const bytes = (text: string) => Uint8Array.from(createHash('sha256').update(text).digest())

/** A claim of a name, by an owner who hands out an encryption key. */
function claimOf(peer: string, owner = peer, key = 'first'): Claim {
  const encryptionKey = bytes(`${owner} ${key}`)
  const keyId = createHash('sha256').update(encryptionKey).digest('hex').slice(0, 32)
  const keys = { algorithm: 'ed25519', signingKey: bytes(owner), encryptionKey, keyId } as const
  return { network: 'n', peer, ...keys, isChallenged: false }
}

const settle = (registration: Registration, all: readonly Claim[]) =>
  Promise.all(
    all.map((claim) =>
      registration.register(claim).then(
        (outcome) => outcome,
        () => 'failed'
      )
    )
  )

test('claims of one group are answered each for itself: new, known, taken, with another key', async (t) => {
  const { sql, registration } = await openStore(t)
  await settle(registration(), [claimOf('known'), claimOf('taken'), claimOf('rekeyed')])
  const all = [
    claimOf('taken', 'a stranger'),
    claimOf('new'),
    claimOf('known'),
    claimOf('rekeyed', 'rekeyed', 'second'),
    claimOf('a name\nof two lines'),
    { ...claimOf('no bytes'), encryptionKey: new Uint8Array(0) }
  ]
  assert.deepEqual(await settle(registration(), all), [
    'taken',
    'created',
    'confirmed',
    'rekeyed',
    'created',
    'created'
  ])
  const kept = async (peer: string) => (await readIdentity(sql, 'n', peer))!
  assert.deepEqual(new Uint8Array((await kept('taken')).signingKey), bytes('taken'))
  assert.deepEqual(
    (await kept('rekeyed')).keys.map(({ keyId }) => keyId),
    [claimOf('rekeyed').keyId, claimOf('rekeyed', 'rekeyed', 'second').keyId]
  )
  assert.equal((await kept('a name\nof two lines')).keys.length, 1)
})

test('of a name the last hundred encryption keys are kept', async (t) => {
  const { sql, registration } = await openStore(t)
  const claims = Array.from({ length: 105 }, (_, n) => claimOf('alice', 'alice', `key ${n}`))
  for (const claim of claims) await registration().register(claim)
  const { keys } = (await readIdentity(sql, 'n', 'alice'))!
  assert.deepEqual(
    keys.map(({ keyId }) => keyId),
    claims.slice(5).map(({ keyId }) => keyId)
  )
})

test('identities that were never used are deleted; who was there for longer, wrote or was written to stays', async (t) => {
  const { sql, registration } = await openStore(t)
  const day = 86_400_000
  const names = ['unused', 'unused too', 'stayed', 'wrote', 'heard', 'young', 'old'] as const
  await settle(
    registration(),
    names.map((name) => claimOf(name))
  )
  await sql`update schema_migration set applied_at = applied_at - interval '1 year'`
  const ages: Partial<Record<(typeof names)[number], number>> = { young: 29, old: 61 }
  for (const name of names) {
    await sql`
      update identity set registered_at = now() - make_interval(days => ${ages[name] ?? 31}),
        last_seen_at = now() - make_interval(days => ${ages[name] ?? 31}, mins => ${name === 'stayed' ? -61 : 0})
      where peer = ${name}`
  }
  await sql`insert into contact (network, sender, recipient) values ('n', 'wrote', 'somebody'), ('n', 'somebody', 'heard')`
  const period = { before: Date.now() - 30 * day, after: Date.now() - 60 * day }
  const gone = [
    await deleteUnused(sql, period, 1),
    await deleteUnused(sql, period, 1),
    await deleteUnused(sql, period, 1)
  ]
  assert.deepEqual(
    gone
      .flat()
      .map(({ peer }) => peer)
      .sort(),
    ['unused', 'unused too']
  )
  const kept = await sql`select distinct peer from identity_key order by peer`
  assert.deepEqual(
    kept.map(({ peer }) => peer),
    ['heard', 'old', 'stayed', 'wrote', 'young']
  )
})

test('a name that was claimed with a challenge is claimed with one only', async (t) => {
  const { sql, registration } = await openStore(t)
  const [plain, challenged] = [claimOf('a'), { ...claimOf('a'), isChallenged: true }]
  const say = async (claim: Claim) => (await settle(registration(), [claim, claimOf(`beside ${Math.random()}`)]))[0]
  assert.equal(await say(plain), 'created')
  assert.equal(await say(challenged), 'confirmed')
  assert.equal(await say(plain), 'challenge')
  assert.equal(await say(claimOf('a', 'a', 'second')), 'challenge')
  assert.equal(await say(claimOf('a', 'a stranger')), 'taken')
  assert.equal(await say({ ...claimOf('a', 'a', 'second'), isChallenged: true }), 'rekeyed')
  assert.equal(await say(claimOf('a', 'a', 'second')), 'challenge')
  assert.equal((await readIdentity(sql, 'n', 'a'))!.challenged, true)
  await sql`update identity set last_seen_at = now() - interval '91 days'`
  assert.equal(await say(claimOf('a', 'an heir')), 'created')
  assert.equal((await readIdentity(sql, 'n', 'a'))!.challenged, false, 'the heir has used none')
})

test('an empty encryption key is kept as one, also when the group has no other', async (t) => {
  const { registration } = await openStore(t)
  const claim = { ...claimOf('no bytes'), encryptionKey: new Uint8Array(0) }
  assert.deepEqual(await settle(registration(), [claim]), ['created'])
  assert.deepEqual(await settle(registration(), [claim]), ['confirmed'])
})

test('a claim that Postgres refuses takes none of its neighbours with it', async (t) => {
  const { registration, errors } = await openStore(t)
  const all = Array.from({ length: 40 }, (_, place) => claimOf(place === 17 ? 'x'.repeat(257) : `peer-${place}`))
  const outcomes = await settle(registration(), all)
  assert.deepEqual(
    outcomes,
    all.map((_claim, place) => (place === 17 ? 'failed' : 'created'))
  )
  assert.equal(errors.length, 1)
})

test('two servers that claim the same names at once agree on every owner', async (t) => {
  const { sql, registration } = await openStore(t)
  const names = Array.from({ length: 60 }, (_, place) => `peer-${place}`)
  const [here, there] = await Promise.all([
    settle(
      registration(),
      names.map((name) => claimOf(name, 'here'))
    ),
    settle(
      registration(),
      names.toReversed().map((name) => claimOf(name, 'there'))
    )
  ])
  for (const [place, name] of names.entries()) {
    const outcomes = [here[place], there.at(-1 - place)]
    assert.deepEqual(outcomes.toSorted(), ['created', 'taken'], name)
    const owner = outcomes[0] === 'created' ? 'here' : 'there'
    assert.deepEqual(new Uint8Array((await readIdentity(sql, 'n', name))!.signingKey), bytes(owner))
  }
})

test('a thousand claims at once are a few commits, not a thousand', async (t) => {
  const { sql, registration } = await openStore(t)
  const commits = async () => {
    await sql`select pg_stat_force_next_flush()`
    const [row] = await sql<{ commits: number }[]>`
      select xact_commit as commits from pg_stat_database where datname = current_database()`
    return row!.commits
  }
  const before = await commits()
  const outcomes = await settle(
    registration(),
    Array.from({ length: 1_000 }, (_, place) => claimOf(`peer-${place}`))
  )
  assert.deepEqual(new Set(outcomes), new Set(['created']))
  const made = (await commits()) - before
  t.diagnostic(`${made} commits`)
  assert.ok(made < 100, `${made} commits`)
})

const keyEntry = (peer: string, proof: string): KeyEntry => ({
  ...{ network: 'n', peer, algorithm: 'ed25519', signingKey: bytes(peer) },
  proof: { digest: bytes(proof), expiresAt: NOW }
})

test('a proof lets one entry in, also of those that come together', async (t) => {
  const { database, sql } = await openStore(t)
  const enter = batched({ database, work: enterKeys, failed: (error) => assert.fail(String(error)) })
  const together = [keyEntry('a', 'p1'), keyEntry('a', 'p1'), keyEntry('b', 'p2'), keyEntry('a', 'p3')]
  assert.deepEqual(await Promise.all(together.map(enter)), [true, false, true, true])
  assert.deepEqual(await Promise.all([keyEntry('c', 'p2'), keyEntry('b', 'p4')].map(enter)), [false, true])
  const known = await sql<{ peer: string }[]>`select peer from identity order by peer`
  assert.deepEqual(
    known.map(({ peer }) => peer),
    ['a', 'b']
  )
})

test('names that are looked up at the same time share a statement, and each gets its own answer; one that Postgres refuses costs no other its answer', async (t) => {
  const { database, registration } = await openStore(t)
  await settle(registration(), [claimOf('a'), claimOf('b'), { ...claimOf('c'), network: 'other' }])
  const statements: number[] = []
  const failures: number[] = []
  const find = lookUps({
    database,
    find: (sql, names: readonly { network: string; peer: string }[]) => {
      statements.push(names.length)
      return findIdentities(sql, names)
    },
    failed: (_error, names) => void failures.push(names)
  })
  const nameOf = (peer: string) => ({ network: 'n', peer })
  const keyIdOf = async (peer: string) => (await find(nameOf(peer)))?.keyId
  const first = keyIdOf('a')
  const [b, c, a, wrong] = await Promise.allSettled([keyIdOf('b'), keyIdOf('c'), keyIdOf('a'), keyIdOf('nul \0')])
  assert.equal(await first, claimOf('a').keyId)
  assert.deepEqual(
    [b, c, a].map((each) => each.status === 'fulfilled' && each.value),
    [claimOf('b').keyId, undefined, claimOf('a').keyId]
  )
  assert.match(String(wrong.status === 'rejected' && wrong.reason), /DatabaseUnavailable|Postgres did not answer/)
  assert.equal(statements[0], 5)
  assert.deepEqual(failures, [1])
  const keys = await findSigningKeys(database.sql, [nameOf('b'), nameOf('nobody'), nameOf('a')])
  assert.deepEqual(
    keys.map((key) => key && Buffer.from(key).toString('hex')),
    [claimOf('b').signingKey, undefined, claimOf('a').signingKey].map((key) => key && Buffer.from(key).toString('hex'))
  )
})
