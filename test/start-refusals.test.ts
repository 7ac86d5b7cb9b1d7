// Every refusal of the start, by the real program: one line in words, which says what is wrong and what is right.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { MIGRATION_LOCK } from '../src/database/migrate.ts'
import { atEnd, type Scope } from './helpers/at-end.ts'
import { asAdmin, createTestDatabase, emptyTestDatabase, temporaryDirectory } from './helpers/database.ts'
import { startTestServer } from './helpers/server.ts'
import { type Env, type Started, startProgram } from './helpers/start-program.ts'
import { until } from './helpers/wait.ts'

/** No regular expression, no stack, no class or function of ours, no empty reason. */
function isPlain({ output, reasons }: Started): void {
  assert.equal(reasons.length, 1, output)
  const [reason] = reasons
  assert.ok(typeof reason === 'string' && reason.length > 20, output)
  assert.doesNotMatch(output, /\n\s+at |"stack"|node:internal|\.ts:\d|\.js:\d|\(\?:|\\d|\[a-z\]|undefined|\[object/)
  assert.doesNotMatch(reason, /\b(StartError|PostgresError|CannotConnect|ConnectionLost|Type[A-Z]\w+)\b/)
}

const REFUSALS: Record<string, (t: TestContext, dataDir: string) => Promise<{ env: Env; says: RegExp }>> = {
  'a file as DATA_DIR': async (_t, dataDir) => {
    await writeFile(join(dataDir, 'file'), '')
    return { env: { DATA_DIR: join(dataDir, 'file') }, says: /DATA_DIR .*\/file cannot be used: it is a file\./ }
  },
  'DATA_DIR below a file': async (_t, dataDir) => {
    await writeFile(join(dataDir, 'file'), '')
    return { env: { DATA_DIR: join(dataDir, 'file', 'data') }, says: /a part of the path is a file/ }
  },
  'a database that is not there': async (t, dataDir) => {
    const url = Object.assign(new URL((await emptyTestDatabase(t)).url), { pathname: 'nowhere' }).href
    return { env: { DATA_DIR: dataDir, DATABASE_URL: url }, says: /no database of that name: create it/ }
  },
  'a wrong password': async (t, dataDir) => {
    const url = Object.assign(new URL((await emptyTestDatabase(t)).url), { password: 'hunter2' }).href
    return {
      env: { DATA_DIR: dataDir, DATABASE_URL: url },
      says: /the user name or the password is wrong: correct DATABASE_URL/
    }
  },
  'no password': async (t, dataDir) => {
    const url = Object.assign(new URL((await emptyTestDatabase(t)).url), { password: '' }).href
    return { env: { DATA_DIR: dataDir, DATABASE_URL: url }, says: /wants a password of \w+, and there is none: put it/ }
  },
  'TLS of a server that has none': async (t, dataDir) => {
    const url = `${(await emptyTestDatabase(t)).url}?sslmode=require`
    return { env: { DATA_DIR: dataDir, DATABASE_URL: url }, says: /does not speak TLS: turn that on there .* sslmode/ }
  },
  'a setting that the server does not have': async (t, dataDir) => {
    const url = `${(await emptyTestDatabase(t)).url}?options=-c%20nonsense%3D1`
    return {
      env: { DATA_DIR: dataDir, DATABASE_URL: url },
      says: /unrecognized configuration parameter "nonsense": correct the parameter "options"/
    }
  },
  'one connection, where two are held': async (t, dataDir) => {
    const { url } = await emptyTestDatabase(t)
    const target = await roleOn(t, url, 'one_connection')
    await asAdmin(async (admin) => {
      await admin.unsafe(`alter role ${new URL(target).username} connection limit 1`)
      await admin.unsafe(`alter database ${new URL(url).pathname.slice(1)} owner to ${new URL(target).username}`)
    })
    return {
      env: { DATA_DIR: dataDir, DATABASE_URL: target },
      says: /too many connections for role .*\. Let the role, the database and the server have more of them/
    }
  },
  'a database that is set to read only': async (t, dataDir) => {
    const { url } = await emptyTestDatabase(t)
    const name = new URL(url).pathname.slice(1)
    await asAdmin((admin) => admin.unsafe(`alter database ${name} set default_transaction_read_only = on`))
    return { env: { DATA_DIR: dataDir, DATABASE_URL: url }, says: /set to read only\. Run "alter database NAME reset/ }
  },
  'a role that may not log in': async (t, dataDir) => {
    const target = await roleOn(t, (await emptyTestDatabase(t)).url, 'no_login')
    await asAdmin((admin) => admin.unsafe(`alter role ${new URL(target).username} nologin`))
    return {
      env: { DATA_DIR: dataDir, DATABASE_URL: target },
      says: /is not permitted to log in: see its pg_hba\.conf and/
    }
  },
  'a connection string that asks for what cannot be': async (_t, dataDir) => ({
    env: { DATA_DIR: dataDir, DATABASE_URL: 'postgres://u:hunter2@db/x?target_session_attrs=standby' },
    says: /this server writes: use read-write/
  }),
  'a certificate file of the database that is missing': async (_t, dataDir) => ({
    env: {
      DATA_DIR: dataDir,
      DATABASE_URL: 'postgres://u@127.0.0.1:1/x?sslmode=verify-full&sslrootcert=/nowhere/ca.pem'
    },
    says: /the file \/nowhere\/ca\.pem, which DATABASE_URL names, cannot be read \(ENOENT\)/
  }),
  'settings that are wrong': async () => ({
    env: { DATABASE_URL: 'mysql://u:hunter2@db/x', LOG_LEVEL: 'loud', AUDIT_ORIGIN: 'a b', ADMIN_TOKEN: 'short' },
    says: /DATABASE_URL must be a connection string like/
  }),
  'a database that a newer version migrated': async (t, dataDir) => {
    const { sql, url } = await createTestDatabase(t)
    await sql`insert into schema_migration (version, name, checksum) values (9001, '9001_more.sql', '')`
    return { env: { DATA_DIR: dataDir, DATABASE_URL: url }, says: /the database has migration 9001.*use a newer one/ }
  },
  "somebody else's tables in the schema": async (t, dataDir) => {
    const { sql, url } = await emptyTestDatabase(t)
    await sql`create table message (id int)`
    return {
      env: { DATA_DIR: dataDir, DATABASE_URL: url },
      says: /Somebody else's tables are in this schema: .*search_path/
    }
  },
  'a role that may not make tables': async (t, dataDir) => {
    const { sql, url } = await emptyTestDatabase(t)
    await sql`revoke create on schema public from public`
    const target = await roleOn(t, url, 'may_not')
    return { env: { DATA_DIR: dataDir, DATABASE_URL: target }, says: /may not make tables here: "grant create, usage/ }
  },
  'another node key': async (t, dataDir) => {
    const server = await startTestServer(t)
    const alice = await server.join('alice')
    alice.send({ type: 'message', payload: { targetId: 'away', message: {} }, timestamp: 1 })
    await alice.next('message_queued')
    await server.close()
    return {
      env: { DATA_DIR: dataDir, DATABASE_URL: server.databaseUrl },
      says: /put that key back, or .* audit rekey/
    }
  },
  'a node key that is none': async (t, dataDir) => {
    await writeFile(join(dataDir, 'node.key'), 'nonsense')
    const { url } = await createTestDatabase(t)
    return { env: { DATA_DIR: dataDir, DATABASE_URL: url }, says: /does not hold an ed25519 private key .*put back/ }
  },
  'a checkpoint that is none': async (t, dataDir) => {
    await mkdir(join(dataDir, 'audit'))
    await writeFile(join(dataDir, 'audit', 'signaling.checkpoint'), 'nonsense')
    const { url } = await createTestDatabase(t)
    return { env: { DATA_DIR: dataDir, DATABASE_URL: url }, says: /is not a checkpoint: put back what was there/ }
  },
  'an address that this machine does not have': async (t, dataDir) => {
    const { url } = await createTestDatabase(t)
    return { env: { DATA_DIR: dataDir, DATABASE_URL: url, HOST: '203.0.113.1' }, says: /no such address\. Check HOST/ }
  }
}

for (const [name, prepare] of Object.entries(REFUSALS)) {
  test(`the start is refused in one plain sentence: ${name}`, async (t) => {
    const { env, says } = await prepare(t, await temporaryDirectory(t))
    const ended = await startProgram(t, env)
    assert.notEqual(ended.code, 0)
    isPlain(ended)
    assert.match(ended.reasons[0]!, says)
    assert.doesNotMatch(ended.output, /hunter2/)
  })
}

test('a start without its PostgreSQL warns every few seconds, a line each, and then says what to do', async (t) => {
  const env = { DATA_DIR: await temporaryDirectory(t), DATABASE_URL: 'postgres://u:hunter2@127.0.0.1:1/x' }
  const ended = await startProgram(t, env)
  isPlain(ended)
  assert.match(ended.reasons[0]!, /127\.0\.0\.1:1: nothing listens there\. Start it, or correct DATABASE_URL/)
  const lines = ended.output.split('\n').filter((line) => line.includes('"waiting for Postgres"'))
  const seconds = lines
    .map((line) => JSON.parse(line))
    .map(({ level, secondsLeft }) => (level === 'warn' ? secondsLeft : level))
  assert.ok(seconds.length >= 2 && seconds.every(Number.isInteger), `seconds left: ${seconds}`)
})

const WAITS: Record<string, (t: TestContext) => Promise<{ url: string; waits: Promise<unknown> }>> = {
  'a host that says nothing': async (t) => {
    const { port, connected } = await silentServer(t)
    return { url: `postgres://u@127.0.0.1:${port}/x`, waits: connected }
  },
  'the migration of another relay': async (t) => {
    const { sql, url } = await emptyTestDatabase(t)
    const holder = await sql.reserve()
    await holder`select pg_advisory_lock(${MIGRATION_LOCK})`
    atEnd(t, async () => holder.release())
    const isWaiting = async () =>
      (await sql`select from pg_locks where locktype = 'advisory' and not granted`).length > 0
    return { url, waits: until('it waits', isWaiting) }
  }
}

for (const [name, prepare] of Object.entries(WAITS)) {
  test(`a start that waits for ${name} ends at once, and well, when it is stopped`, async (t) => {
    const { url, waits } = await prepare(t)
    const env = { DATA_DIR: await temporaryDirectory(t), DATABASE_URL: url }
    const ended = await startProgram(t, env, { stopWhen: waits })
    assert.deepEqual([ended.code, ended.reasons], [0, []], ended.output)
    assert.match(ended.output, /"server stopped"/)
  })
}

/** Takes connections, and says nothing. */
async function silentServer(t: Scope): Promise<{ port: number; connected: Promise<unknown> }> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const connected = once(server, 'connection').then(([socket]) => atEnd(t, () => (socket as Socket).destroy()))
  atEnd(t, () => server.close())
  return { port: (server.address() as AddressInfo).port, connected }
}

test('a start that is refused after it joined a cluster leaves it', async (t) => {
  const { sql, url } = await createTestDatabase(t)
  const key = join(await temporaryDirectory(t), 'node.key')
  await writeFile(key, 'nonsense')
  const refused = startTestServer(t, { DATABASE_URL: url, CLUSTER_NAME: 'blue', NODE_KEY_FILE: key })
  await assert.rejects(refused, /does not hold an ed25519 private key/)
  assert.equal((await sql`select from relay`).length, 0)
})

test('a role without CREATE on the database works in a schema of its own, beside tables of others', async (t) => {
  const { sql, url } = await emptyTestDatabase(t)
  await sql`create table message (id int)`
  const target = await roleOn(t, url, 'own_schema')
  const role = new URL(target).username
  await sql.unsafe(`create schema relay authorization ${role}`)
  await asAdmin((admin) => admin.unsafe(`alter role ${role} set search_path = relay`))
  const server = await startTestServer(t, { DATABASE_URL: target })
  const alice = await server.join('alice')
  alice.send({ type: 'message', payload: { targetId: 'away', message: {} }, timestamp: 1 })
  await alice.next('message_queued')
  assert.equal((await sql`select from relay.queue_entry`).length, 1)
  assert.equal((await server.app.inject('/health/ready')).statusCode, 200)
})

/** The same database for an ordinary role, which owns nothing and may make nothing. */
async function roleOn(t: Scope, url: string, name: string): Promise<string> {
  const role = `${name}_${process.pid}_${Math.floor(performance.now())}`
  const database = new URL(url).pathname.slice(1)
  await asAdmin(async (admin) => {
    await admin.unsafe(`create role ${role} login password 'secret'`)
    await admin.unsafe(`revoke create, temporary on database ${database} from public`)
  })
  atEnd(t, () => asAdmin((admin) => admin.unsafe(`drop role if exists ${role}`).catch(() => {})))
  return Object.assign(new URL(url), { username: role, password: 'secret' }).href
}
