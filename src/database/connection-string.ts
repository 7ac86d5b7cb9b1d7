// Connection strings as libpq reads them (PostgreSQL manual, "Connection Strings" and "Parameter Key Words"). The parser
// of `pg` knows one host, and those of both drivers take PG* variables for what the string leaves out, of any string.
import { StartError } from '../util/start-error.ts'

export interface Place {
  /** A name, an address, or the directory of a unix socket. */
  readonly host: string
  /** Where to connect instead of looking the name up. */
  readonly address: string | undefined
  readonly port: number
}

/** Where the database is, and how to get in. */
export interface Target {
  readonly places: readonly Place[]
  /** Undefined: the name of the system's user. */
  readonly user: string | undefined
  /** Undefined: the name of the user. */
  readonly database: string | undefined
  readonly password: string | undefined
  /** Every parameter of the string that is not in the other fields. */
  readonly parameters: Readonly<Record<string, string>>
  /** Parameters that have no effect here, a sentence each. */
  readonly warnings: readonly string[]
}

type Environment = Readonly<Record<string, string | undefined>>

const URI = /^postgres(?:ql)?:\/\/(?:([^@/]*)@)?([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/s
const PLACE = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d*))?$/
const MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full']
const TLS_VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3']
const ONE_OF: Readonly<Record<string, readonly string[]>> = {
  sslmode: MODES,
  sslnegotiation: ['postgres', 'direct'],
  channel_binding: ['disable', 'prefer', 'require'],
  ssl_min_protocol_version: TLS_VERSIONS,
  ssl_max_protocol_version: TLS_VERSIONS,
  load_balance_hosts: ['disable', 'random'],
  target_session_attrs: ['any', 'read-write', 'primary', 'read-only', 'standby', 'prefer-standby']
}
const USED = [
  ...['application_name', 'connect_timeout', 'keepalives', 'keepalives_idle', 'options', 'passfile', 'sslcert'],
  ...['sslkey', 'sslpassword', 'sslrootcert', 'sslsni'],
  ...Object.keys(ONE_OF)
]
/** What the system or this server decides instead; or what changes nothing for it. */
const WITHOUT_EFFECT = [
  ...['client_encoding', 'fallback_application_name', 'keepalives_interval', 'keepalives_count', 'tcp_user_timeout'],
  ...['sslcompression', 'gssencmode', 'gsslib', 'gssdelegation', 'krbsrvname', 'sslcertmode', 'sslkeylogfile'],
  ...['min_protocol_version', 'max_protocol_version']
]
/** Without them the connection would be less safe, or another one, than its operator means. */
const REFUSED = [
  ...['require_auth', 'requirepeer', 'sslcrl', 'sslcrldir', 'service', 'servicefile', 'replication'],
  ...['scram_client_key', 'scram_server_key', 'oauth_issuer', 'oauth_client_id', 'oauth_client_secret', 'oauth_scope']
]

/**
 * Reads a connection string. Throws `StartError` with what is wrong; nothing of the string is in the message but names of
 * parameters. Of `env` only PGHOST, PGPORT, PGUSER, PGDATABASE and PGPASSWORD are used, for what the string leaves out.
 */
export function readConnectionString(text: string, env: Environment): Target {
  const [, credentials, hosts = '', path, query] = URI.exec(text) ?? []
  if (!URI.test(text)) throw wrong('must be like postgres://USER:PASSWORD@HOST:5432/DATABASE')
  const given = readQuery(query)
  const [user, password] = readCredentials(credentials)
  const { host, hostaddr, port, user: otherUser, password: otherPassword, dbname, ...parameters } = given
  checkParameters(parameters)
  const database = dbname || (path && decode(path, 'the name of the database')) || env.PGDATABASE
  return {
    places: placesOf({ ...readHosts(hosts), ...defined({ host, hostaddr, port }) }, env),
    user: otherUser || user || env.PGUSER || undefined,
    password: otherPassword ?? password ?? env.PGPASSWORD,
    database: database || undefined,
    parameters,
    warnings: warningsOf(parameters)
  }
}

/** Reads it at each call; the same object for the same string, so that others may remember what they know of it. */
export function targetOf(url: string | (() => string)): () => Target {
  const read = typeof url === 'string' ? () => url : url
  let [text, target] = ['', undefined as Target | undefined]
  return () => {
    const now = read()
    if (target === undefined || now !== text) target = readConnectionString(now, process.env)
    text = now
    return target
  }
}

const wrong = (what: string) => new StartError(`The connection string (DATABASE_URL) ${what}.`)

function decode(text: string, what: string): string {
  if (text.includes('%00')) throw wrong(`has %00 in ${what}, which PostgreSQL does not take`)
  try {
    return decodeURIComponent(text)
  } catch {
    throw wrong(`has a % in ${what} that begins no %XX: write %25 for the sign itself`)
  }
}

function readCredentials(text: string | undefined): [user: string | undefined, password: string | undefined] {
  const [, user = '', password] = /^([^:]*)(?::(.*))?$/s.exec(text ?? '') ?? []
  return [
    decode(user, 'the user name') || undefined,
    password === undefined ? undefined : decode(password, 'the password')
  ]
}

function readQuery(text: string | undefined): Record<string, string> {
  const parameters: Record<string, string> = {}
  for (const pair of (text ?? '').split('&').filter((each) => each !== '')) {
    const [, key = '', value] = /^([^=]*)=?(.*)$/s.exec(pair)!
    const name = decode(key, 'the name of a parameter')
    parameters[name] = decode(value!, `the parameter ${name}`)
  }
  const { ssl, requiressl, ...rest } = parameters // JDBC's, which libpq knows, too; and an old one of libpq
  if (rest.sslmode !== undefined) return rest
  if (requiressl?.startsWith('1')) return { ...rest, sslmode: 'require' }
  if (ssl === undefined) return rest
  return { ...rest, sslmode: ssl === 'true' || ssl === '1' ? 'require' : ssl === 'false' ? 'disable' : ssl }
}

interface HostLists {
  host?: string
  hostaddr?: string
  port?: string
}

const defined = (lists: Record<keyof HostLists, string | undefined>): HostLists =>
  Object.fromEntries(Object.entries(lists).filter(([, value]) => value !== undefined && value !== ''))

function readHosts(text: string): HostLists {
  const places = text.split(',').map((each) => PLACE.exec(each))
  if (places.includes(null)) throw wrong('has a host or port that cannot be read; an IPv6 address goes into [ ]')
  const host = places.map((place) => place![1] ?? decode(place![2]!, 'the name of a host')).join(',')
  return { host, port: places.map((place) => place![3] ?? '').join(',') }
}

function placesOf({ host = '', hostaddr = '', port = '' }: HostLists, env: Environment): Place[] {
  const isGiven = /[^,]/.test(host + hostaddr)
  const hosts = (isGiven || !env.PGHOST ? host : env.PGHOST).split(',')
  const addresses = hostaddr.split(',')
  const ports = (isGiven || /[^,]/.test(port) ? port : (env.PGPORT ?? '')).split(',')
  const count = Math.max(hosts.length, addresses.length)
  if (ports.length > 1 && ports.length !== count) throw wrong(`has ${ports.length} ports for ${count} hosts`)
  return Array.from({ length: count }, (_, at) => ({
    host: hosts[at] || addresses[at] || 'localhost',
    address: addresses[at] || undefined,
    port: portOf(ports[at] ?? ports[0]!)
  }))
}

function portOf(text: string): number {
  const port = text === '' ? 5432 : Number(text)
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port
  throw wrong('has a port that is not a number from 1 to 65535')
}

function checkParameters(parameters: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(parameters)) {
    const allowed = ONE_OF[name]
    if (allowed !== undefined && !allowed.includes(value))
      throw wrong(`has ${name} that is not one of ${allowed.join(', ')}`)
    if (REFUSED.includes(name)) throw wrong(`has the parameter ${name}, which this server cannot honour: take it out`)
  }
  const { gssencmode, target_session_attrs: attributes, sslmode = 'prefer', channel_binding: binding } = parameters
  if (gssencmode === 'require') throw wrong('demands gssencmode=require, which this server cannot do: use sslmode')
  if (attributes === 'read-only' || attributes?.includes('standby')) {
    throw wrong(`wants a server by target_session_attrs=${attributes}, but this server writes: use read-write`)
  }
  if (parameters.sslnegotiation === 'direct' && MODES.indexOf(sslmode) < MODES.indexOf('require')) {
    throw wrong('has sslnegotiation=direct, which needs sslmode=require or a stricter one')
  }
  if (binding === 'require' && sslmode === 'disable') throw wrong('demands channel_binding=require without TLS')
  if (!/^(\d+|-1)?$/.test(parameters.connect_timeout ?? ''))
    throw wrong('has connect_timeout that is no number of seconds')
}

const warningsOf = (parameters: Readonly<Record<string, string>>): string[] =>
  Object.keys(parameters)
    .filter((name) => !USED.includes(name) && !WITHOUT_EFFECT.includes(name))
    .map((name) => `the parameter ${JSON.stringify(name)} of DATABASE_URL is not known and is ignored`)
