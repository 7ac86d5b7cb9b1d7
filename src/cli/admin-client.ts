// The admin API of a running server, as the commands call it.
import { readFile } from 'node:fs/promises'
import { Option } from '@commander-js/extra-typings'
import { adminTokenFile } from '../../plugins/admin/token.ts'
import { signalingPort } from '../config/read.ts'
import type { Config } from '../config/schema.ts'
import { CommandError, EXIT, type ExitCode, type Io, UsageError, usual } from './command.ts'
import { plain } from './format.ts'

/** Options of every command that talks to a server. */
export const SERVER_URL = new Option(
  '--url <url>',
  'the server; default: the signaling listener of the settings (http://127.0.0.1:3005)'
)
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
  /** Items of a list, page after page, up to `limit`. */
  list<T>(path: readonly string[], field: string, limit?: number, query?: Query): Promise<T[]>
}

export interface ServerOptions {
  readonly url?: string | undefined
  readonly json?: true | undefined
}

/** The client for --url and the token of the settings. */
export async function openAdminClient(options: ServerOptions, io: Io): Promise<AdminClient> {
  const { config } = await io.settings()
  const url = serverUrl(options, config)
  const { token, origin } = await readToken(config)
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
    const answer = await ask(address, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    if (answer.status >= 400) throw refusal(answer, url, origin)
    return answer.body as T
  }
  const get: AdminClient['get'] = (path, query = {}) => change('GET' as 'POST', path, { query })
  return { url, get, change, list: listWith(get) }
}

const listWith =
  (get: AdminClient['get']): AdminClient['list'] =>
  async <T>(path: readonly string[], field: string, limit = Number.POSITIVE_INFINITY, query: Query = {}) => {
    const items: T[] = []
    for (let cursor: string | undefined; ; ) {
      const page = { ...query, cursor, limit: Math.min(PAGE, limit - items.length) }
      const answer = await get<Record<string, unknown>>(path, page)
      items.push(...(answer[field] as T[]))
      cursor = (answer.nextCursor as string | null) ?? undefined
      if (cursor === undefined || items.length >= limit) return items
    }
  }

/** The address of the server: --url, or the signaling listener of the settings. */
export function serverUrl({ url }: ServerOptions, config: Config): string {
  if (url !== undefined) return parsedUrl(url)
  const port = signalingPort(config)
  if (port === 0) throw new UsageError('the settings let the server take any free port: name it with --url')
  return `http://${hostToReach(config.HOST)}:${port}`
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

async function readToken(config: Config): Promise<{ token: string; origin: string }> {
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

function addressOf(url: string, path: readonly string[], query: Query): string {
  const asked = Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]))
  const search = new URLSearchParams(asked).toString()
  return `${url}/${path.map(encodeURIComponent).join('/')}${search === '' ? '' : `?${search}`}`
}

/** One request. Rejects with a `CommandError` when no server answers, or one that is not a demos-relay. */
export async function ask(address: string, init: RequestInit = {}): Promise<Answer> {
  const { origin } = new URL(address)
  let answer: Response
  let text: string
  try {
    answer = await fetch(address, { ...init, signal: AbortSignal.timeout(REQUEST_MS) })
    text = await answer.text()
  } catch (cause) {
    const reason = reasonOf(cause as Error)
    throw new CommandError(
      EXIT.unreachable,
      `no server answers at ${origin} (${reason}). Is it running? --url says where`,
      { cause }
    )
  }
  try {
    return { status: answer.status, body: JSON.parse(text) }
  } catch (cause) {
    const type = answer.headers.get('content-type') ?? 'no content type'
    throw new CommandError(
      EXIT.failed,
      `what answers at ${origin} is no demos-relay (${answer.status}, ${plain(type)}). Give --url the server itself`,
      { cause }
    )
  }
}

function reasonOf(error: Error): string {
  const cause = error.cause as NodeJS.ErrnoException | undefined
  return (
    cause?.code ??
    cause?.message ??
    (error.name === 'TimeoutError' ? `nothing within ${REQUEST_MS / 1_000} s` : error.message)
  )
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
