import { execFile } from 'node:child_process'
import { chmod, stat } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import type { Log } from '../../util/log.ts'
import { StartError } from '../../util/start-error.ts'

const run = promisify(execFile)

/** The user that Postgres runs as: ours (no ids), or an ordinary user when we are root. */
export interface Account {
  uid?: number
  gid?: number
}

/**
 * Postgres refuses to run as root. A root server starts it as the owner of the existing cluster, else as the user
 * `postgres`, which is created when the system has none.
 */
export async function postgresAccount(cluster: string, log: Log): Promise<Account> {
  if (process.getuid?.() !== 0) return {}
  const owner = await stat(cluster).catch(() => undefined)
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid }
  const existing = await userIds()
  if (existing) return existing
  try {
    await run('useradd', ['--system', '--user-group', '--shell', '/usr/sbin/nologin', 'postgres'])
  } catch (cause) {
    throw new StartError(
      'PostgreSQL does not run as root, and a user "postgres" to run it as could not be created: run demos-relay as an ordinary user, or set DATABASE_URL',
      { cause }
    )
  }
  log.info({ user: 'postgres' }, 'created a system user for the embedded Postgres, which does not run as root')
  const created = await userIds()
  if (!created) throw new StartError('the system user "postgres" was created but is not found')
  return created
}

/** Rejected is a user without a name, as platforms choose at random: initdb wants one. The server then goes without it. */
export function requireName({ uid }: Account): void {
  if (uid !== undefined) return // found by its name
  try {
    userInfo()
  } catch (cause) {
    throw new StartError(
      `PostgreSQL makes no database for a user without a name, and ${process.getuid?.()} has none in /etc/passwd: ` +
        'add it there, run demos-relay as a user with a name, or set DATABASE_URL',
      { cause }
    )
  }
}

/** Opens our own data directory for passing through (its secrets stay 0600), and checks every directory above. */
export async function ensureReachable(directory: string, account: Account, ours: boolean): Promise<void> {
  if (account.uid === undefined) return
  if (ours) await chmod(directory, (await stat(directory)).mode | 0o011)
  for (let at = directory; ; at = dirname(at)) {
    if (!(await mayPass(at, account))) throw unreachable(directory, at)
    if (dirname(at) === at) return
  }
}

async function mayPass(directory: string, { uid, gid }: Account): Promise<boolean> {
  const { mode, uid: owner, gid: group } = await stat(directory)
  const bit = owner === uid ? 0o100 : group === gid ? 0o010 : 0o001
  return (mode & bit) !== 0
}

function unreachable(directory: string, closed: string): Error {
  return new Error(
    `PostgreSQL does not run as root, and the user it runs as instead cannot reach ${directory} because ${closed} is closed to others: ` +
      'install demos-relay under a directory such as /opt or /srv (and DATA_DIR too), run it as an ordinary user, or set DATABASE_URL'
  )
}

async function userIds(): Promise<Account | undefined> {
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', 'postgres']), run('id', ['-g', 'postgres'])])
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) }
  } catch {
    return undefined
  }
}
