// A PostgreSQL of the system's packages: another version than the embedded one, with TLS, or as a pair of primary and
// standby. Run by an ordinary user.
import { chown, copyFile, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import postgres from 'postgres'
import { freePort } from '../../src/database/embedded/embedded-postgres.ts'
import { type Account, postgresAccount } from '../../src/database/embedded/postgres-account.ts'
import { type RunningPostgres, runProgram, startProcess } from '../../src/database/embedded/postgres-process.ts'
import { atEnd, type Scope } from './at-end.ts'
import type { TestCertificate } from './certificate.ts'
import { temporaryDirectory } from './database.ts'
import { signalTree } from './processes.ts'
import { silentLog } from './test-cluster.ts'

const DEBIAN = '/usr/lib/postgresql'

export interface DebianPostgres {
  readonly port: number
  /** Connection string of a new, empty database. */
  createDatabase(name: string): Promise<string>
  /** The same for a database that is there. */
  url(name: string): string
  /** Another server, which follows this one. */
  standby(): Promise<DebianPostgres>
  /** From now on a commit waits until a standby has it. */
  waitForStandby(): Promise<void>
  /** A standby becomes a primary. */
  promote(): Promise<void>
  /** kill -9, all of it. */
  kill(): void
}

export interface DebianOptions {
  /** Its certificate; connections must use TLS and a password then. */
  readonly tls?: TestCertificate
}

export async function startDebianPostgres(t: Scope, { tls }: DebianOptions = {}): Promise<DebianPostgres> {
  const bin = await binaries()
  const { directory, account } = await emptyDirectory(t)
  const password = join(await temporaryDirectory(t), 'password')
  await writeFile(password, PASSWORD, { mode: 0o644 })
  const method = tls === undefined ? 'trust' : 'scram-sha-256'
  const options = ['-U', 'relay', '-A', method, `--pwfile=${password}`, '-E', 'UTF8', '--locale=C', '-N']
  await runProgram(join(bin, 'initdb'), ['-D', directory, ...options], account, silentLog)
  if (tls !== undefined) await installCertificate(directory, account, tls)
  return serve(t, directory, account, tls === undefined ? {} : { ssl: 'on' })
}

const PASSWORD = 'not-checked'

async function binaries(): Promise<string> {
  const [version] = (await readdir(DEBIAN)).sort((a, b) => Number(b) - Number(a))
  return join(DEBIAN, version!, 'bin')
}

async function emptyDirectory(t: Scope): Promise<{ directory: string; account: Account }> {
  const directory = join(await temporaryDirectory(t), 'debian')
  const account = await postgresAccount(directory, silentLog)
  await mkdir(directory, { mode: 0o700 })
  if (account.uid !== undefined) await chown(directory, account.uid, account.gid!)
  return { directory, account }
}

async function installCertificate(directory: string, account: Account, { certFile, keyFile }: TestCertificate) {
  for (const [from, name] of [
    [certFile, 'server.crt'],
    [keyFile, 'server.key']
  ] as const) {
    await copyFile(from, join(directory, name))
    if (account.uid !== undefined) await chown(join(directory, name), account.uid, account.gid!)
  }
  await writeFile(join(directory, 'pg_hba.conf'), 'hostssl all all 127.0.0.1/32 scram-sha-256\n')
}

async function serve(
  t: Scope,
  directory: string,
  account: Account,
  more: Record<string, string>
): Promise<DebianPostgres> {
  const bin = await binaries()
  const port = await freePort()
  const settings = { listen_addresses: '127.0.0.1', unix_socket_directories: '', shared_buffers: '16MB', ...more }
  const running: RunningPostgres = await startProcess(join(bin, 'postgres'), directory, {
    ...{ account, port, settings },
    log: silentLog
  })
  atEnd(t, () => running.stop())
  const url = (name: string) => `postgres://relay:${PASSWORD}@127.0.0.1:${port}/${name}`
  const ask = async <T>(work: (sql: postgres.Sql) => PromiseLike<T>): Promise<T> => {
    const ssl = more.ssl === 'on' ? ('require' as const) : false
    const sql = postgres(url('postgres'), { max: 1, fetch_types: false, onnotice: () => {}, ssl })
    return Promise.resolve(work(sql)).finally(() => sql.end())
  }
  return {
    port,
    url,
    createDatabase: async (name) => {
      await ask((sql) => sql`create database ${sql(name)}`)
      return url(name)
    },
    standby: async () => {
      const copy = await emptyDirectory(t)
      const from = `host=127.0.0.1 port=${port} user=relay`
      await runProgram(
        join(bin, 'pg_basebackup'),
        ['-D', copy.directory, '-d', from, '-R', '-c', 'fast'],
        account,
        silentLog
      )
      return serve(t, copy.directory, account, { hot_standby: 'on' })
    },
    waitForStandby: async () => {
      await ask((sql) => sql`alter system set synchronous_standby_names = '*'`)
      await ask((sql) => sql`select pg_reload_conf()`)
    },
    promote: async () => {
      await ask((sql) => sql`select pg_promote(true, 30)`)
    },
    kill: () => signalTree(running.pid, 'SIGKILL')
  }
}
