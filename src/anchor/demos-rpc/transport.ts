// One JSON request to one node: with a deadline, a bounded reply, and retries after passing errors.
import { DemosRpcError } from './errors.ts'

export interface TransportOptions {
  /** Address of the node; a user and password in it become an Authorization header. */
  readonly url: string
  /** Longest one attempt may take, reply included, in ms. */
  readonly deadlineMs: number
  /** Attempts after the first one; the SDK makes four. */
  readonly retries: number
  /** The first pause between attempts, in ms; each further one is twice as long. */
  readonly pauseMs: number
  /** Longest pause here, in ms; a node that asks for a longer one is left alone for that long. */
  readonly maxPauseMs: number
  /** Largest reply that is read, in bytes. */
  readonly maxReplyBytes: number
  readonly wait: Wait
  readonly clock: () => number
  /** Ends everything under way. */
  readonly signal?: AbortSignal | undefined
}

export type Wait = (ms: number, signal?: AbortSignal) => Promise<void>

export interface Reply {
  readonly status: number
  readonly json: unknown
}

export interface Transport {
  /** `headers` is asked before every attempt. Rejects with a DemosRpcError, or the reason of the signal. */
  post(body: string, headers: () => Record<string, string>): Promise<Reply>
}

/** Statuses of a proxy or a busy node that are worth a retry. */
const PASSING = new Set([429, 502, 503, 504])

/** Throws a TypeError, without the URL, when it is not one of http or https. */
export function createTransport(options: TransportOptions): Transport {
  const { url, authorization } = readUrl(options.url)
  const where = `the Demos node at ${url.host}`

  const once = async (body: string, headers: Record<string, string>): Promise<Reply | Passing> => {
    const timeout = AbortSignal.timeout(options.deadlineMs)
    const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...authorization, ...headers },
        body,
        redirect: 'manual', // what is signed for one node is not carried to another
        signal
      })
      if (PASSING.has(response.status)) {
        await response.body?.cancel()
        return { reason: `HTTP ${response.status}`, retryAfterMs: retryAfter(response.headers, options.clock()) }
      }
      return { status: response.status, json: parse(await readBounded(response, options.maxReplyBytes), where) }
    } catch (error) {
      options.signal?.throwIfAborted()
      if (error instanceof DemosRpcError) throw error
      return { reason: reasonOf(error) }
    }
  }

  return {
    async post(body, headers) {
      for (let attempt = 0; ; attempt++) {
        const outcome = await once(body, headers())
        if (!('reason' in outcome)) return outcome
        const pause = outcome.retryAfterMs ?? Math.min(options.pauseMs * 2 ** attempt, options.maxPauseMs)
        if (attempt === options.retries || pause > options.maxPauseMs) throw unreachable(where, outcome)
        await options.wait(pause, options.signal)
      }
    }
  }
}

/** An attempt that may go better next time. */
interface Passing {
  readonly reason: string
  readonly retryAfterMs?: number | undefined
}

function unreachable(where: string, { reason, retryAfterMs }: Passing): DemosRpcError {
  return new DemosRpcError('UNREACHABLE', `cannot reach ${where}: ${reason}`, retryAfterMs)
}

function readUrl(text: string): { url: URL; authorization: Record<string, string> } {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !['http:', 'https:'].includes(url.protocol)) {
    throw new TypeError('the URL of the Demos node has to begin with http:// or https://')
  }
  if (url.username === '' && url.password === '') return { url, authorization: {} }
  const credentials = Buffer.from(`${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`)
  url.username = ''
  url.password = ''
  return { url, authorization: { authorization: `Basic ${credentials.toString('base64')}` } }
}

async function readBounded(response: Response, maxBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength
    if (size > maxBytes) throw new DemosRpcError('BAD_REPLY', `the reply is larger than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function parse(bytes: Buffer, where: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw new DemosRpcError('BAD_REPLY', `${where} sent ${bytes.length} bytes that are not JSON`)
  }
}

/** RFC 9110 §10.2.3: seconds, or a date. Unreadable counts as absent. */
function retryAfter(headers: Headers, now: number): number | undefined {
  const text = headers.get('retry-after')?.trim()
  if (!text) return undefined
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1_000
  const date = Date.parse(text)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}

/** The system's word for it: `ECONNREFUSED`, `TimeoutError`. The message of a fetch error may repeat its URL. */
function reasonOf(error: unknown): string {
  const { cause, code, name } = error as { cause?: { code?: unknown; name?: unknown }; code?: unknown; name?: unknown }
  const word = [cause?.code, code, cause?.name, name].find((each) => typeof each === 'string')
  return word === undefined ? 'an unknown error' : String(word)
}
