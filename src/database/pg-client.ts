// One attempt to connect to one host, by `pg`: TLS, authentication, start of the session. What we use of its insides
// (8.23.1, which package.json pins to that version; check each before another one): `getStartupConf`, `processID`,
// `connection.stream`, and the event `authenticationSASL` of the connection.
import type { EventEmitter } from 'node:events'
import { readFile } from 'node:fs/promises'
import { type ConnectOpts, Socket, type SocketConstructorOpts } from 'node:net'
import { userInfo } from 'node:os'
import type { ConnectionOptions, SecureVersion } from 'node:tls'
import pg from 'pg'
import { StartError } from '../util/start-error.ts'
import type { Place, Target } from './connection-string.ts'
import { passwordFor } from './passfile.ts'
import { ConnectionLost } from './postgres-socket.ts'

/** Longest attempt at one host, and longest answer while the session is set up, unless connect_timeout says so. */
const CONNECT_MS = 5_000
const limitMsOf = ({ connect_timeout: s = '0' }: Target['parameters']) => 1_000 * Math.max(0, Number(s)) || CONNECT_MS
const KEEP_ALIVE_MS = 10_000
/** What a connection has read, until it is copied: Node.js would allocate 64 kB for each read. (TLS reads by itself.) */
const READ = Buffer.allocUnsafeSlow(65_536)
const BOUND = 'SCRAM-SHA-256-PLUS'

type Client = pg.Client & {
  readonly connection: EventEmitter & { readonly stream: Socket }
  readonly processID: number
  getStartupConf: () => Record<string, string>
}

/** Connects, or throws what the server or the system said. */
export async function connectClient(
  place: Place,
  target: Target,
  tls: ConnectionOptions | undefined,
  signal?: AbortSignal
): Promise<pg.Client> {
  const socket = socketTo(place, target.parameters)
  const limitMs = limitMsOf(target.parameters)
  const giveUp = (what: string) => socket.destroy(new ConnectionLost(what))
  const timer = setTimeout(giveUp, limitMs, `no answer to the attempt to connect within ${limitMs} ms`)
  const stop = () => giveUp('stopped')
  signal?.addEventListener('abort', stop)
  try {
    return await start(place, target, tls, socket)
  } catch (error) {
    socket.destroy()
    throw error
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', stop)
  }
}

async function start(place: Place, target: Target, tls: ConnectionOptions | undefined, socket: Socket) {
  const { channel_binding: binding = 'prefer', sslnegotiation = 'postgres' } = target.parameters
  const user = target.user ?? systemUser()
  const database = target.database ?? user
  let isBound = false
  const refuseUnbound = () => {
    if (binding === 'require' && !isBound) {
      throw new StartError('channel_binding=require, but the server does not offer it')
    }
  }
  const password = async () => {
    refuseUnbound()
    const found = await passwordFor(target, place, user, database)
    if (!found)
      throw new StartError(`Postgres wants a password of ${user}, and there is none: put it into DATABASE_URL`)
    return found
  }
  const ways = { ssl: tls ?? false, sslnegotiation, enableChannelBinding: tls !== undefined && binding !== 'disable' }
  const names = { host: place.host, port: place.port, user, database, query_timeout: limitMsOf(target.parameters) }
  const client = new pg.Client({ ...names, ...ways, password, stream: () => socket } as pg.ClientConfig) as Client
  client.on('error', () => {}) // whoever has the socket hears of it
  client.connection.on('authenticationSASL', ({ mechanisms }: { mechanisms: string[] }) => {
    isBound = tls !== undefined && mechanisms.includes(BOUND)
  })
  client.getStartupConf = () => startUp(user, database, target.parameters)
  await client.connect()
  refuseUnbound() // no password was asked for
  return client
}

/** Only what every pooler lets pass; the rest is set afterwards. By itself, `pg` would add PGOPTIONS and others. */
const startUp = (user: string, database: string, { application_name: name, options }: Target['parameters']) => ({
  ...{ user, database, application_name: name ?? 'demos-relay' },
  ...(options === undefined ? {} : { options })
})

/** The process that serves the session, as the server or a pooler told. */
export const processIdOf = (client: pg.Client): number => (client as Client).processID

/** The socket, from now on the caller's, who must listen to it at once. */
export function handOver(client: pg.Client): Socket {
  const { stream } = (client as Client).connection
  stream.removeAllListeners('data')
  return stream
}

function socketTo({ address }: Place, { keepalives, keepalives_idle: idle }: Target['parameters']): Socket {
  const read = (length: number) => socket.emit('data', Buffer.from(READ.subarray(0, length))) || true // reads on, in any case
  const options: SocketConstructorOpts & ConnectOpts = { onread: { buffer: READ, callback: read } }
  const socket: Socket = new Socket(options)
  if (keepalives !== '0') socket.setKeepAlive(true, 1_000 * Number(idle ?? 0) || KEEP_ALIVE_MS)
  if (address === undefined) return socket
  const { connect } = socket as { connect: (port: number, host: string) => Socket }
  return Object.assign(socket, { connect: (port: number) => connect.call(socket, port, address) })
}

function systemUser(): string {
  try {
    return userInfo().username
  } catch {
    throw new StartError('DATABASE_URL names no user, and the system has no name for the one this process runs as')
  }
}

/** TLS as sslmode and the other parameters want it. Certificates are read anew at each connect. */
export async function tlsOptions(mode: string, parameters: Target['parameters']): Promise<ConnectionOptions> {
  const { sslrootcert, sslcert, sslkey, sslpassword: passphrase, sslsni } = parameters
  const ca = sslrootcert === 'system' ? undefined : sslrootcert
  const isChecked = mode.startsWith('verify') || (mode === 'require' && ca !== undefined)
  const [least, most] = [parameters.ssl_min_protocol_version, parameters.ssl_max_protocol_version]
  return {
    ...{ ...(await contents('ca', ca)), ...(await contents('cert', sslcert)), ...(await contents('key', sslkey)) },
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(sslsni === '0' ? { servername: '' } : {}),
    ...(least === undefined ? {} : { minVersion: least as SecureVersion }),
    ...(most === undefined ? {} : { maxVersion: most as SecureVersion }),
    ...(!isChecked ? { rejectUnauthorized: false } : {}),
    ...(isChecked && mode !== 'verify-full' ? { checkServerIdentity: () => undefined } : {})
  }
}

async function contents(name: string, path: string | undefined): Promise<Record<string, Buffer>> {
  if (path === undefined) return {}
  try {
    return { [name]: await readFile(path) }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new StartError(`the file ${path}, which DATABASE_URL names, cannot be read (${code})`)
  }
}
