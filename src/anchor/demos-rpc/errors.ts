// Why an anchoring did not come about, and when another try makes sense.

/** What can go wrong with a node, and how long to leave it alone by default, in ms. */
const DEMOS_RPC_ERRORS = {
  UNREACHABLE: { retryAfterMs: 15_000, meaning: 'No connection, no answer in time, or HTTP 429, 502, 503 or 504.' },
  BAD_REPLY: { retryAfterMs: 60_000, meaning: 'An answer that is not what this call answers; nothing is known.' },
  UNAUTHORIZED: { retryAfterMs: 600_000, meaning: 'HTTP 401: the headers were refused; clocks may differ by 5 min.' },
  REFUSED: { retryAfterMs: 600_000, meaning: 'The node read the request and said no; its words are in the message.' },
  STALE_REFERENCE: { retryAfterMs: 1_000, meaning: 'Confirmed too many blocks ago; it has to be confirmed again.' },
  INSUFFICIENT_BALANCE: { retryAfterMs: 3_600_000, meaning: 'The account cannot pay; somebody has to fund it.' },
  UNSETTLED: { retryAfterMs: 15_000, meaning: 'Submitted but in no block yet; the next try looks again.' }
} as const

type DemosRpcErrorCode = keyof typeof DEMOS_RPC_ERRORS

/** Never carries a key, credentials of the URL or a whole reply: its text may go into logs and to an operator. */
export class DemosRpcError extends Error {
  override name = 'DemosRpcError'
  readonly code: DemosRpcErrorCode
  /** How long to wait before the next try, in ms. */
  readonly retryAfterMs: number

  constructor(code: DemosRpcErrorCode, detail: string, retryAfterMs: number = DEMOS_RPC_ERRORS[code].retryAfterMs) {
    super(`${code}: ${detail}`)
    this.code = code
    this.retryAfterMs = retryAfterMs
  }
}

export function isDemosRpcError(error: unknown, code: DemosRpcErrorCode): error is DemosRpcError {
  return error instanceof DemosRpcError && error.code === code
}

const MAX_WORDS = 200

/** What a node said, fit for a log line: one line of printable ASCII, cut short. */
export function nodeWords(value: unknown): string {
  const text = findText(value)
  if (text === undefined) return 'the node gave no reason'
  return text
    .replace(/[^\x20-\x7e]+/g, ' ')
    .trim()
    .slice(0, MAX_WORDS)
}

/** Nodes say why as text, or in `error` or `message` of an object. */
function findText(value: unknown): string | undefined {
  if (typeof value === 'string') return value.trim() === '' ? undefined : value
  if (typeof value !== 'object' || value === null) return undefined
  const { error, message } = value as { error?: unknown; message?: unknown }
  return [error, message].find((text): text is string => typeof text === 'string' && text.trim() !== '')
}
