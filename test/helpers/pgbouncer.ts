import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { freePort } from '../../src/database/embedded/embedded-postgres.ts'
import { atEnd, type Scope } from './at-end.ts'
import { temporaryDirectory } from './database.ts'
import { findProgram } from './programs.ts'
import { until } from './wait.ts'

/** Debian's PgBouncer before a database, with its defaults but for what is given. Returns the connection string. */
export async function startPgBouncer(t: Scope, url: string, settings: Record<string, string>): Promise<string> {
  const { hostname, port, username, password } = new URL(url)
  const directory = await temporaryDirectory(t)
  const listen = await freePort()
  const [config, users] = [join(directory, 'pgbouncer.ini'), join(directory, 'users.txt')]
  const lines = {
    listen_addr: '127.0.0.1',
    listen_port: listen,
    auth_type: 'scram-sha-256',
    auth_file: users,
    ...settings
  }
  const text = Object.entries({ ...lines, unix_socket_dir: '' }).map(([name, value]) => `${name} = ${value}\n`)
  await writeFile(users, `"${username}" "${password}"\n`)
  await writeFile(config, `[databases]\n* = host=${hostname} port=${port}\n[pgbouncer]\n${text.join('')}`)
  for (const file of [config, users]) await chmod(file, 0o644)
  const asUser = process.getuid?.() === 0 ? ['-u', 'postgres'] : []
  const child = spawn(findProgram('pgbouncer')!, [...asUser, '-q', config], { stdio: ['ignore', 'ignore', 'pipe'] })
  atEnd(t, () => ended(child))
  await until('PgBouncer listens', () => accepts(listen))
  return Object.assign(new URL(url), { port: String(listen) }).href
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const closed = once(child, 'close')
  child.kill('SIGKILL')
  await closed
}

const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
