// Opens one connection to PostgreSQL: walks the hosts, speaks TLS, proves who we are (all of that by `pg`), and sets the
// session up. The driver gets the socket afterwards, see PostgresSocket.
import type { Socket } from 'node:net'
import type pg from 'pg'
import { StartError } from '../util/start-error.ts'
import type { Place, Target } from './connection-string.ts'
import { connectClient, handOver, processIdOf, tlsOptions } from './pg-client.ts'
import { ConnectionLost } from './postgres-socket.ts'
import { corrections, DEFAULTS, FACTS, type ServerFacts, setUp, unfitness } from './session-settings.ts'
import { sqlState } from './sql-state.ts'

/** What a server is to those who want to write. */
export type Role = 'primary' | 'standby' | 'read-only'

/** A server that answers and takes no writes. */
class ReadOnlyServer extends Error {
  override name = 'ReadOnlyServer'
  readonly role: Role

  constructor(role: Role) {
    super(role === 'standby' ? 'it is a standby, which takes no writes' : 'it is set to read only')
    this.role = role
  }
}

/** No host gave a connection that can be used. The message says of each why. */
export class CannotConnect extends ConnectionLost {
  override name = 'CannotConnect'
  /** SQLSTATE or system error of the last host that was tried. */
  readonly code: string | undefined
  /** Of a server that answered; undefined: none did. */
  readonly role: Role | undefined

  constructor(failures: readonly Failure[]) {
    super(failures.map(({ place, error }) => `${place}: ${inWords(error)}`).join('; '), {
      cause: failures.at(-1)?.error
    })
    this.code = sqlState(failures.at(-1)?.error)
    const readOnly = failures.map(({ error }) => error).find((error) => error instanceof ReadOnlyServer)
    this.role = readOnly?.role
  }
}

/** System errors, as they concern an operator. */
const WORDS: Readonly<Record<string, string>> = {
  EACCES: 'this process may not use that socket',
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection was closed at once',
  EHOSTUNREACH: 'there is no way to that host',
  ENETUNREACH: 'there is no way to that network',
  ENOENT: 'there is no such socket',
  ENOTFOUND: 'that name has no address',
  EAI_AGAIN: 'that name could not be looked up',
  ETIMEDOUT: 'no answer'
}

/** Errors of several addresses of one name have no message of their own. */
const inWords = (error: Error): string =>
  WORDS[sqlState(error) ?? (error.message === 'Query read timeout' ? 'ETIMEDOUT' : '')] ?? (error.message || error.name)

interface Failure {
  readonly place: string
  readonly error: Error
}

/** none: we speak with PostgreSQL itself. transaction: another server process may serve each transaction. */
export type Pooler = 'none' | 'session' | 'transaction'

export interface OpenOptions {
  readonly target: Target
  readonly pooler: Pooler
  /** Limits of every statement, ms. */
  readonly statementMs: number
}

export interface Opened {
  readonly socket: Socket
  readonly server: ServerFacts
}

/** A session that is set up, on the first host that takes writes. Throws `CannotConnect`, or `StartError` for good. */
export async function openConnection(
  { target, pooler, statementMs }: OpenOptions,
  signal?: AbortSignal
): Promise<Opened> {
  const { client, server } = await openClient(target, signal)
  try {
    if (pooler !== 'transaction') await client.query(setUp(server.schema!, statementMs))
    return { socket: handOver(client), server }
  } catch (error) {
    void client.end().catch(() => {})
    throw new CannotConnect([{ place: 'setting up the session', error: error as Error }])
  }
}

/**
 * Which pooler stands before the server, if any: one hands out process numbers of its own. In transaction mode, two
 * connections share server processes. Throws `StartError` when one in that mode has settings that cannot be used.
 */
export async function findPooler(target: Target): Promise<Pooler> {
  const { client: first, server } = await openClient(target)
  try {
    if (processIdOf(first) === server.pid) return 'none'
    const isShared = await sharesProcesses(first, target)
    if (isShared) await refuseWrongDefaults(first)
    return isShared ? 'transaction' : 'session'
  } finally {
    void first.end().catch(() => {})
  }
}

/** For DATABASE_POOLER=transaction, where nothing has to be found out. */
export async function checkDefaults(target: Target): Promise<void> {
  const { client } = await openClient(target)
  await refuseWrongDefaults(client).finally(() => client.end())
}

async function sharesProcesses(first: pg.Client, target: Target): Promise<boolean> {
  const pidOf = async (client: pg.Client) =>
    (await client.query<{ pid: number }>('select pg_catalog.pg_backend_pid() as pid')).rows[0]!.pid
  const pids = new Set([await pidOf(first), await pidOf(first), await pidOf(first)])
  const { client: second } = await openClient(target)
  try {
    await second.query('begin').catch((cause: Error) => {
      throw new StartError(
        `the pooler before the database does not let a transaction begin (${cause.message}): set its pool_mode to session or transaction`,
        { cause }
      )
    })
    return pids.size > 1 || pids.has(await pidOf(second))
  } finally {
    void second.end().catch(() => {})
  }
}

async function refuseWrongDefaults(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ name: string; setting: string }>(DEFAULTS)
  const commands = corrections(rows)
  if (commands.length === 0) return
  throw new StartError(
    `the pooler before the database shares its sessions (transaction mode), so settings must be right by default. Run: ${commands.join('; ')}; and have the pooler connect again`
  )
}

/** The host that was used last is asked first: after a failover the others are slow to answer, or do not. */
const lastUsed = new WeakMap<Target, Place>()

async function openClient(target: Target, signal?: AbortSignal): Promise<{ client: pg.Client; server: ServerFacts }> {
  const failures: Failure[] = []
  for (const place of inOrder(target)) {
    if (signal?.aborted) break
    try {
      const opened = await openAt(place, target, signal)
      lastUsed.set(target, place)
      return opened
    } catch (error) {
      if (error instanceof StartError) throw error
      failures.push({ place: nameOf(place), error: error as Error })
    }
  }
  throw new CannotConnect(failures)
}

function inOrder(target: Target): Place[] {
  const places = [...target.places]
  if (target.parameters.load_balance_hosts === 'random') return places.sort(() => Math.random() - 0.5)
  const last = lastUsed.get(target)
  return last === undefined ? places : [last, ...places.filter((place) => place !== last)]
}

const nameOf = ({ host, port }: Place): string => (host.startsWith('/') ? host : `${host}:${port}`)

async function openAt(place: Place, target: Target, signal?: AbortSignal) {
  const client = await connectAt(place, target, signal)
  try {
    const { rows } = await client.query<ServerFacts>(FACTS)
    const server = rows[0]!
    const unfit = unfitness(server)
    if (unfit !== undefined) throw new StartError(unfit)
    if (server.isReadOnly) throw new ReadOnlyServer(server.isStandby ? 'standby' : 'read-only')
    return { client, server }
  } catch (error) {
    void client.end().catch(() => {})
    throw error
  }
}

/** In the place of a SQLSTATE: sslmode demands TLS, and the server has none. */
export const NO_TLS = 'NO_TLS'

/** sslmode=prefer: with TLS, else without. allow: the other way round. */
async function connectAt(place: Place, target: Target, signal?: AbortSignal): Promise<pg.Client> {
  const { sslmode = target.parameters.sslrootcert === 'system' ? 'verify-full' : 'prefer' } = target.parameters
  const isLocal = place.host.startsWith('/')
  const tls = isLocal || sslmode === 'disable' ? undefined : await tlsOptions(sslmode, target.parameters)
  const ways = { prefer: [tls, undefined], allow: [undefined, tls] }[sslmode] ?? [tls]
  const [first, second] = isLocal ? [undefined] : ways
  return connectClient(place, target, first, signal).catch((error: Error) => {
    if (/does not support SSL/.test(error.message)) Object.assign(error, { code: NO_TLS })
    if (ways.length === 1 || isLocal || !isAboutTls(error)) throw error
    return connectClient(place, target, second, signal)
  })
}

/** No TLS there, a failed handshake, or pg_hba.conf wants it the other way (28000). */
const isAboutTls = (error: Error): boolean =>
  /SSL|TLS/i.test(error.message) || /^(28000|ECONNRESET)$/.test(sqlState(error) ?? '')
