// The admin API of a running server, as the commands call it.
import { readFile } from 'node:fs/promises'
import { type IncomingMessage, request as requestPlain } from 'node:http'
import { type RequestOptions, request as requestByTls } from 'node:https'
import { text as textOf } from 'node:stream/consumers'
import { Option } from '@commander-js/extra-typings'
import { adminTokenFile } from '../config/files.ts'
import { signalingPort } from '../config/read.ts'
import type { Config } from '../config/schema.ts'
import { CommandError, EXIT, type ExitCode, type Io, UsageError, usual } from './command.ts'
import { plain } from './format.ts'

/** Options of every command that talks to a server. */
export const SERVER_URL = new Option(
  '--url <url>',
  'the server; default: the listener of ADMIN_PORT, else of signaling (http://127.0.0.1:3005)'
)
export const CA_CERT = new Option('--cacert <file>', "certificates to trust (PEM) instead of the system's")
export const INSECURE = new Option('--insecure', 'do not check the certificate of the server')
export const JSON_OUTPUT = new Option('--json', 'print one JSON document')

/** For the help of these commands. */
export const ABOUT_SERVER =
  'Asks a running server. The token is ADMIN_TOKEN, or the content of the file ADMIN_TOKEN_FILE, or of DATA_DIR/admin.token.'

export const SERVER_EXITS: Partial<Record<ExitCode, string>> = {
  [EXIT.failed]: 'refused, or not found',
  ...usual(EXIT.unreachable, EXIT.later, EXIT.token, EXIT.settings)
}

const REQUEST_MS = 30_000
/** Largest page of the server. */
const PAGE = 200

type Query = Readonly<Record<string, string | number | boolean | undefined>>
export interface Answer {
  readonly status: number
  readonly body: unknown
}

export interface AdminClient {
  readonly url: string
  get<T>(path: readonly string[], query?: Query): Promise<T>
  change<T>(
    method: 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: readonly string[],
    sent?: { query?: Query; body?: object }
  ): Promise<T>
  /** Items of a list, page after page, up to `limit`; `onPage` sees each answer. */
  list<T>(
    path: readonly string[],
    field: string,
    limit?: number,
    query?: Query,
    onPage?: (answer: Record<string, unknown>) => void
  ): Promise<T[]>
}

export interface ServerOptions {
  readonly url?: string | undefined
  readonly json?: true | undefined
  readonly cacert?: string | undefined
  readonly insecure?: true | undefined
}

/** How the server's certificate is checked. */
export type TlsTrust = Pick<
  RequestOptions,
  'ca' | 'rejectUnauthorized' | 'allowPartialTrustChain' | 'checkServerIdentity'
>

/** The client for --url and the token of the settings. */
export async function openAdminClient(options: ServerOptions, io: Io): Promise<AdminClient> {
  const { config } = await io.settings()
  const url = serverUrl(options, config)
  const { token, origin } = await readToken(config)
  const trust = await tlsTrust(options, config)
  const change: AdminClient['change'] = async <T>(
    method: string,
    path: readonly string[],
    { query = {}, body }: { query?: Query; body?: object } = {}
  ) => {
    const headers = {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' })
    }
    const address = addressOf(url, ['admin', ...path], query)
    const answer = await ask(address, trust, method, headers, body === undefined ? undefined : JSON.stringify(body))
    if (answer.status >= 400) throw refusal(answer, url, origin)
    return answer.body as T
  }
  const get: AdminClient['get'] = (path, query = {}) => change('GET' as 'POST', path, { query })
  return { url, get, change, list: listWith(get) }
}

const listWith =
  (get: AdminClient['get']): AdminClient['list'] =>
  async <T>(
    path: readonly string[],
    field: string,
    limit = Number.POSITIVE_INFINITY,
    query: Query = {},
    onPage: (answer: Record<string, unknown>) => void = () => {}
  ) => {
    const items: T[] = []
    for (let cursor: string | undefined; ; ) {
      const page = { ...query, cursor, limit: Math.min(PAGE, limit - items.length) }
      const answer = await get<Record<string, unknown>>(path, page)
      items.push(...(answer[field] as T[]))
      onPage(answer)
      cursor = (answer.nextCursor as string | null) ?? undefined
      if (cursor === undefined || items.length >= limit) return items
    }
  }

/** The address of the server: --url, or the listener with the administration by the settings. */
export function serverUrl({ url }: ServerOptions, config: Config): string {
  if (url !== undefined) return parsedUrl(url)
  const [host, port] =
    config.ADMIN_PORT === undefined ? [config.HOST, signalingPort(config)] : [config.ADMIN_HOST, config.ADMIN_PORT]
  if (port === 0) throw new UsageError('the settings let the server take any free port: name it with --url')
  return `http${config.TLS_CERT_FILE === undefined ? '' : 's'}://${hostToReach(host)}:${port}`
}

/** The host part of a URL for a listener on this host: "any address" is reached over the loopback address. */
export function hostToReach(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return host.includes(':') ? `[${host}]` : host
}

function parsedUrl(text: string): string {
  const url = httpUrl(text)
  if (url === undefined) throw new UsageError('--url must be the address of a server, like http://127.0.0.1:3005')
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}

/** An HTTP address without a user name; ws: and wss: count as http: and https:. */
export function httpUrl(text: string): URL | undefined {
  const url = URL.canParse(text) ? new URL(text.replace(/^ws(s?):/, 'http$1:')) : undefined
  return url !== undefined && /^https?:$/.test(url.protocol) && url.username === '' ? url : undefined
}

/** The token of the settings, and where it comes from. */
export async function readToken(config: Config): Promise<{ token: string; origin: string }> {
  if (config.ADMIN_TOKEN !== undefined) return { token: config.ADMIN_TOKEN, origin: 'ADMIN_TOKEN' }
  const path = adminTokenFile(config.DATA_DIR)
  try {
    return { token: (await readFile(path, 'utf8')).trim(), origin: path }
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw new CommandError(
      EXIT.token,
      `there is no token: ${path} cannot be read (${code}). Set ADMIN_TOKEN or ADMIN_TOKEN_FILE, or DATA_DIR to the server's`,
      { cause }
    )
  }
}

/** As a part of a path. `.` and `..` are names, too: written as they are, they would stand for directories. */
const segment = (name: string): string =>
  /^\.{1,2}$/.test(name) ? name.replaceAll('.', '%2e') : encodeURIComponent(name)

function addressOf(url: string, path: readonly string[], query: Query): string {
  const asked = Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]))
  const search = new URLSearchParams(asked).toString()
  return `${url}/${path.map(segment).join('/')}${search === '' ? '' : `?${search}`}`
}

/**
 * What --cacert and --insecure say. Without them and without --url, the server is that of these settings: its own
 * certificate is trusted, whatever name it is for, since it rarely names the loopback address.
 */
export async function tlsTrust(options: ServerOptions, config: Config): Promise<TlsTrust> {
  if (options.insecure) return { rejectUnauthorized: false }
  const own = options.url === undefined ? config.TLS_CERT_FILE : undefined
  const path = options.cacert ?? own
  if (path === undefined) return {}
  try {
    const ca = await readFile(path, 'utf8')
    return options.cacert === undefined
      ? { ca, allowPartialTrustChain: true, checkServerIdentity: () => undefined }
      : { ca, allowPartialTrustChain: true }
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw new CommandError(EXIT.failed, `the certificates in ${path} cannot be read (${code})`, { cause })
  }
}

/** One request. Rejects with a `CommandError` when no server answers, or one that is not a demos-relay. */
export async function ask(
  address: string,
  trust: TlsTrust = {},
  method = 'GET',
  headers: Readonly<Record<string, string>> = {},
  body?: string
): Promise<Answer> {
  const { origin } = new URL(address)
  const { status, type, text } = await exchange(address, { ...trust, method, headers }, body).catch((cause) => {
    const hint = isTlsRefusal(cause) ? 'See --cacert and --insecure' : 'Is it running? --url says where'
    throw new CommandError(EXIT.unreachable, `no server answers at ${origin} (${reasonOf(cause)}). ${hint}`, { cause })
  })
  try {
    return { status, body: JSON.parse(text) }
  } catch (cause) {
    throw new CommandError(
      EXIT.failed,
      `what answers at ${origin} is no demos-relay (${status}, ${plain(type)}). Give --url the server itself`,
      { cause }
    )
  }
}

async function exchange(
  address: string,
  options: RequestOptions,
  body = ''
): Promise<{ status: number; type: string; text: string }> {
  // The path goes as it is: a URL takes %2e%2e for the directory above.
  const [{ origin }, path] = [new URL(address), address.slice(address.indexOf('/', 'https://'.length))]
  const request = address.startsWith('https:') ? requestByTls : requestPlain
  const signal = AbortSignal.timeout(REQUEST_MS)
  const headers = { ...options.headers, ...(body === '' ? {} : { 'content-length': Buffer.byteLength(body) }) }
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    request(origin, { ...options, path, headers, signal, agent: false }, resolve)
      .on('error', reject)
      .end(body)
  })
  const type = answer.headers['content-type'] ?? 'no content type'
  return { status: answer.statusCode ?? 0, type, text: await textOf(answer) }
}

const isTlsRefusal = (error: NodeJS.ErrnoException): boolean => /CERT|SELF_SIGNED|ISSUER|ALTNAME/.test(error.code ?? '')

function reasonOf(error: NodeJS.ErrnoException): string {
  if (error.name === 'TimeoutError' || error.name === 'AbortError') return `nothing within ${REQUEST_MS / 1_000} s`
  return error.code ?? error.message
}

/** Why the server refused, and what to do. */
function refusal({ status, body }: Answer, url: string, tokenOrigin: string): CommandError {
  const { title, detail } = body as { title?: unknown; detail?: unknown }
  const said = plain(String(detail ?? title ?? `status ${status}`))
  if (status === 401) {
    return new CommandError(
      EXIT.token,
      `the server at ${url} does not take the token of ${tokenOrigin}. Set ADMIN_TOKEN or ADMIN_TOKEN_FILE to its own`
    )
  }
  if (status === 429)
    return new CommandError(EXIT.later, 'the server has been asked too often in the last minute. Try again in a minute')
  if (status === 503)
    return new CommandError(EXIT.later, `${said}. A change may have been made: check before you repeat it`)
  if (status >= 500) return new CommandError(EXIT.failed, `the server failed (${status}); the cause is in its log`)
  return new CommandError(EXIT.failed, said)
}
