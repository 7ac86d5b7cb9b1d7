// The administration of a running server, as the commands ask it.
import { readFile } from 'node:fs/promises'
import { adminTokenFile } from '../../plugins/admin/api/token.ts'
import type { Config } from '../config/schema.ts'
import { type Call, CommandError, EXIT, type ExitCode, type Io, type Options, UsageError, usual } from './command.ts'
import { plain } from './words.ts'

/** Options of every command that talks to a server. */
export const SERVER_OPTIONS: Options = {
  url: {
    value: 'URL',
    about: 'the server; default: where the settings have its signaling door (http://127.0.0.1:3005)'
  },
  json: { about: 'one JSON document for machines' }
}

/** For the help of these commands. */
export const ABOUT_SERVER =
  'Asks a running server. The token is ADMIN_TOKEN, or what the file ADMIN_TOKEN_FILE holds, or DATA_DIR/admin.token.'

export const SERVER_EXITS: Partial<Record<ExitCode, string>> = {
  [EXIT.failed]: 'refused, or no such thing',
  ...usual(EXIT.unreachable, EXIT.later, EXIT.token, EXIT.settings)
}

const REQUEST_MS = 30_000
/** The most a page of the server holds. */
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

/** The client for a call's --url and the settings' token. */
export async function openAdminClient(call: Call, io: Io): Promise<AdminClient> {
  const { config } = await io.settings()
  const url = serverUrl(call, config)
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

/** Where the server is: --url, or where the settings have its signaling door. */
export function serverUrl(call: Call, config: Config): string {
  const given = call.text('url')
  if (given !== undefined) return parsedUrl(given)
  const port = config.RPC_SIGNALING_PORT ?? config.SIGNALING_SERVER_PORT
  if (port === 0) throw new UsageError('the settings let the server take any free port: name it with --url')
  return `http://${hostToReach(config.HOST)}:${port}`
}

/** "Any address" is nothing to connect to; on this machine the loopback address is. */
export function hostToReach(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return host.includes(':') ? `[${host}]` : host
}

function parsedUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text.replace(/^ws(s?):/, 'http$1:')) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '') {
    throw new UsageError('--url must be the address of a server, like http://127.0.0.1:3005')
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
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

/** One request; rejects with a sentence when nobody is there, or when it is no server of ours that answers. */
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
      {
        cause
      }
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

/** What the server said no to, and what to do. */
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
    return new CommandError(EXIT.later, `${said}. Whether a change was made is not known: look before you repeat it`)
  if (status >= 500) return new CommandError(EXIT.failed, `the server failed (${status}); the cause is in its log`)
  return new CommandError(EXIT.failed, said)
}
