import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type Database, openDatabase } from '../../src/database/database.ts'
import { DataDirectoryInUse } from '../../src/database/embedded/data-directory-lock.ts'
import { startEmbeddedPostgres } from '../../src/database/embedded/embedded-postgres.ts'
import { goneWithin, isPostgresOn, processIdentity } from '../../src/database/embedded/process-identity.ts'
import type { Log } from '../../src/util/log.ts'
import { packageFile } from '../../src/util/package-root.ts'
import { atEnd } from '../helpers/at-end.ts'
import { answers, temporaryDirectory, usedDataDirectory } from '../helpers/database.ts'
import { OWN_OPTIONS, ownFile } from '../helpers/own-program.ts'
import { silentLog } from '../helpers/test-cluster.ts'
import { until } from '../helpers/wait.ts'

async function open(t: TestContext, dataDir: string, log: Log = silentLog): Promise<Database> {
  const database = await openDatabase({ url: undefined, dataDir, poolSize: 2, deadlineMs: 5_000 }, log)
  atEnd(t, () => database.close())
  return database
}

async function postmaster(dataDir: string): Promise<number> {
  return Number((await readFile(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8')).split('\n')[0])
}

const replacePid = (text: string, pid: number) => text.replace(/^\d+/, String(pid))

/** A server process of its own that opens the database, says so, and waits. */
async function openElsewhere(t: TestContext, dataDir: string): Promise<ChildProcess> {
  const program = `
    import { openDatabase } from '${ownFile('src/database/database.ts')}'
    const none = () => {}
    const log = { debug: none, info: none, warn: none, error: none }
    const database = await openDatabase({ url: undefined, dataDir: process.argv[1], poolSize: 2, deadlineMs: 5000 }, log)
    await database.sql\`create table if not exists parcel (id int)\`
    await database.sql\`insert into parcel values (1)\`
    process.on('SIGTERM', () => database.close().then(() => process.exit(0)))
    process.on('SIGUSR2', () => process.exit(3))
    setInterval(none, 1000)
    console.log('open')`
  const child = spawn(process.execPath, [...OWN_OPTIONS, '--input-type=module', '-e', program, dataDir], {
    cwd: packageFile('.'),
    stdio: ['ignore', 'pipe', 'inherit']
  })
  atEnd(t, () => child.kill('SIGKILL'))
  await Promise.race([
    once(child.stdout!, 'data'),
    once(child, 'exit').then(() => assert.fail('the other server ended early'))
  ])
  return child
}

test('a first start makes a UTF-8 cluster that only this machine and only its password can enter', async (t) => {
  const home = await temporaryDirectory(t)
  const { sql, embedded } = await open(t, home)
  assert.equal(embedded, true)
  const [row] = await sql`
    select current_database() as name, current_setting('server_encoding') as encoding, current_setting('fsync') as fsync,
      current_setting('synchronous_commit') as durable, current_setting('listen_addresses') as listens,
      current_setting('unix_socket_directories') as sockets,
      (select count(*) from pg_hba_file_rules where auth_method <> 'scram-sha-256') as open_doors`
  assert.deepEqual(
    { ...row },
    {
      name: 'demos_relay',
      encoding: 'UTF8',
      fsync: 'on',
      durable: 'on',
      listens: '127.0.0.1',
      sockets: '',
      open_doors: 0
    }
  )
  assert.equal((await stat(join(home, 'postgres-password'))).mode & 0o777, 0o600)
  assert.equal((await stat(join(home, 'postgres'))).mode & 0o777, 0o700)
})

test('a second start keeps data and password, and nothing runs in between', async (t) => {
  const home = await usedDataDirectory(t)
  const first = await open(t, home)
  await first.sql`create table parcel (id int)`
  const password = await readFile(join(home, 'postgres-password'), 'utf8')
  const pid = await postmaster(home)
  await first.close()
  assert.equal(processIdentity(pid), undefined)
  const second = await open(t, home)
  assert.equal((await second.sql`select from parcel`).length, 0)
  assert.equal(await readFile(join(home, 'postgres-password'), 'utf8'), password)
})

test('a Postgres that is killed while we run starts again by itself, with all that was committed', async (t) => {
  const home = await usedDataDirectory(t)
  const errors: string[] = []
  const log: Log = { ...silentLog, error: (_facts, message) => errors.push(message) }
  const database = await open(t, home, log)
  await database.sql`create table parcel (id int)`
  for (let round = 1; round <= 2; round++) {
    await database.sql`insert into parcel values (${round})`
    const pid = await postmaster(home)
    process.kill(pid, 'SIGKILL')
    assert.ok(await goneWithin(pid, 5_000))
    const end = Date.now() + 10_000
    while (!(await answers(database, 500))) assert.ok(Date.now() < end, 'no answer again within 10 s')
    assert.equal((await database.sql`select from parcel`).length, round)
  }
  assert.ok(errors.some((message) => message.includes('started again')))
})

test('closing while Postgres is being restarted leaves nothing running', async (t) => {
  const home = await usedDataDirectory(t)
  const database = await open(t, home)
  process.kill(await postmaster(home), 'SIGKILL')
  await delay(20)
  await database.close()
  const pid = await postmaster(home).catch(() => 0)
  assert.ok(pid === 0 || processIdentity(pid) === undefined)
  await (await open(t, home)).close()
})

test('a first start that was interrupted half-way is begun anew', async (t) => {
  const home = await temporaryDirectory(t)
  await mkdir(join(home, 'postgres.new'))
  await writeFile(join(home, 'postgres.new', 'PG_VERSION'), '18\n')
  await writeFile(join(home, 'postgres-password'), 'a-password-from-before\n', { mode: 0o600 })
  const { sql } = await open(t, home)
  assert.equal((await sql`select 1`).length, 1)
})

test('a postmaster.pid whose process is gone does not stop a start', async (t) => {
  const home = await usedDataDirectory(t)
  const first = await open(t, home)
  const text = await readFile(join(home, 'postgres', 'postmaster.pid'), 'utf8')
  await first.close()
  const gone = spawn('true')
  await once(gone, 'exit')
  await writeFile(join(home, 'postgres', 'postmaster.pid'), replacePid(text, gone.pid!))
  assert.equal((await (await open(t, home)).sql`select 1`).length, 1)
})

test('a postmaster.pid whose number now belongs to another program does not stop a start, nor that program', async (t) => {
  const home = await usedDataDirectory(t)
  const first = await open(t, home)
  const text = await readFile(join(home, 'postgres', 'postmaster.pid'), 'utf8')
  const { uid, gid } = await stat(join(home, 'postgres'))
  await first.close()
  const other = spawn('sleep', ['60'], process.getuid?.() === 0 ? { uid, gid } : {}) // Postgres looks only at its own user's
  atEnd(t, () => other.kill('SIGKILL'))
  await once(other, 'spawn')
  await writeFile(join(home, 'postgres', 'postmaster.pid'), replacePid(text, other.pid!))
  assert.equal((await (await open(t, home)).sql`select 1`).length, 1)
  assert.equal(other.exitCode, null)
  assert.notEqual(processIdentity(other.pid!), undefined)
})

test('the Postgres of a server that was killed is stopped, and its data opened', async (t) => {
  const home = await usedDataDirectory(t)
  const killed = await openElsewhere(t, home)
  const orphan = await postmaster(home)
  killed.kill('SIGKILL')
  await once(killed, 'exit')
  assert.ok(isPostgresOn(orphan, join(home, 'postgres')))
  const { sql } = await open(t, home)
  assert.equal(processIdentity(orphan), undefined)
  assert.equal((await sql`select from parcel`).length, 1)
})

test('even when that Postgres is frozen', async (t) => {
  const home = await usedDataDirectory(t)
  const killed = await openElsewhere(t, home)
  const orphan = await postmaster(home)
  killed.kill('SIGKILL')
  await once(killed, 'exit')
  process.kill(orphan, 'SIGSTOP')
  const { sql } = await open(t, home)
  assert.equal((await sql`select from parcel`).length, 1)
})

test('a second server on the same data directory is refused, and the first one goes on', async (t) => {
  const home = await usedDataDirectory(t)
  const first = await openElsewhere(t, home)
  const pid = await postmaster(home)
  await assert.rejects(open(t, home), (error: Error) => {
    assert.ok(error instanceof DataDirectoryInUse)
    assert.match(error.message, new RegExp(`process id ${first.pid}\\b.*DATA_DIR`))
    return true
  })
  assert.ok(isPostgresOn(pid, join(home, 'postgres')))
  first.kill('SIGTERM')
  const [code] = await once(first, 'exit')
  assert.equal(code, 0)
  await open(t, home)
})

test('a lock whose holder is gone, or whose number now belongs to another program, is taken over', async (t) => {
  const home = await usedDataDirectory(t)
  for (const stale of [`{"pid":${process.pid},"identity":"earlier"}`, '{"pid":99999999,"identity":"x"}', 'torn', '']) {
    await writeFile(join(home, 'demos-relay.lock'), stale)
    await (await open(t, home)).close()
  }
})

test('a Postgres that ended and was not collected by its parent is not in the way, nor is a server that is just ending', async (t) => {
  const home = await usedDataDirectory(t)
  await (await open(t, home)).close()
  const parent = spawn('sh', ['-c', 'sleep 0 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] })
  atEnd(t, () => parent.kill('SIGKILL'))
  const zombie = Number(String((await once(parent.stdout, 'data'))[0]))
  await until('it has ended', () => processIdentity(zombie) === undefined)
  const directory = join(home, 'postgres')
  await writeFile(join(directory, 'postmaster.pid'), `${zombie}\n${directory}\n1\n5432\n\n127.0.0.1\n`, { mode: 0o644 })
  const ending = spawn('sleep', ['1'])
  const lock = JSON.stringify({ pid: ending.pid, identity: processIdentity(ending.pid!) })
  await writeFile(join(home, 'demos-relay.lock'), lock)
  await (await open(t, home)).close()
})

test('a server that ends in an error tells its Postgres to stop', async (t) => {
  const home = await usedDataDirectory(t)
  const server = await openElsewhere(t, home)
  const pid = await postmaster(home)
  server.kill('SIGUSR2')
  await once(server, 'exit')
  assert.ok(await goneWithin(pid, 30_000))
  assert.equal((await (await open(t, home)).sql`select from parcel`).length, 1)
})

test('a taken port is an error that quotes Postgres, after a few attempts', async (t) => {
  const home = await usedDataDirectory(t)
  const occupant = createServer()
  await new Promise<void>((resolve) => occupant.listen(0, '127.0.0.1', resolve))
  atEnd(t, () => occupant.close())
  const { port } = occupant.address() as { port: number }
  await assert.rejects(startEmbeddedPostgres(home, silentLog, { port }), /Address already in use/)
  await (await open(t, home)).close()
})

test('a Postgres that does not start says why, in its own last words', async (t) => {
  const home = await usedDataDirectory(t)
  await assert.rejects(
    startEmbeddedPostgres(home, silentLog, { settings: { shared_buffers: 'plenty' } }),
    /did not start .*shared_buffers.*plenty/
  )
})

test('a cluster of another major version, or without its password, is left alone with a clear word', async (t) => {
  const home = await temporaryDirectory(t)
  await (await open(t, home)).close()
  const version = join(home, 'postgres', 'PG_VERSION')
  await writeFile(version, '15\n')
  await assert.rejects(open(t, home), /was made by PostgreSQL 15/)
  await writeFile(version, '18\n')
  await writeFile(join(home, 'postgres-password'), '')
  await assert.rejects(open(t, home), /postgres-password is missing/)
})

test('run by root, a closed directory above the data is named', { skip: process.getuid?.() !== 0 }, async (t) => {
  const home = await temporaryDirectory(t)
  await mkdir(join(home, 'closed', 'data'), { recursive: true })
  await chmod(join(home, 'closed'), 0o700)
  await assert.rejects(open(t, join(home, 'closed', 'data')), /cannot reach .* because .*closed is closed to others/)
})
