// What both protocols share: the outline of a frame, and the error with which a request fails.

export interface Frame {
  type: string
  payload: Record<string, unknown>
}

/** The value as a frame; undefined unless it is an object with a text `type` and an object as `payload`. */
export function readFrame(value: unknown): Frame | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { type, payload } = value as Partial<Frame>
  if (typeof type !== 'string' || typeof payload !== 'object' || payload === null) return undefined
  return { type, payload }
}

/** Failures the client itself reports; every other `errorType` is the server's. */
export type LocalErrorType =
  /** The connection could not be made, or was lost before the answer came. */
  | 'NOT_CONNECTED'
  /** No answer in time. Whether the server acted is unknown. */
  | 'TIMEOUT'
  /** The client was closed. */
  | 'CLOSED'
  /** The server's answer makes no sense. */
  | 'INVALID_ANSWER'
  /** The server refused one of several messages without saying which. */
  | 'UNCONFIRMED'
  /** The server gives no challenge to sign, and this client does not register without. */
  | 'CHALLENGE_REFUSED'
  /** The outbox has no room for another message. */
  | 'OUTBOX_FULL'

/** A refusal by the server (`errorType` and `details` of its `error` frame) or a {@link LocalErrorType}. */
export class RelayError extends Error {
  override readonly name = 'RelayError'
  readonly errorType: string
  readonly details: string

  constructor(errorType: string, details: string, options?: ErrorOptions) {
    super(`${errorType}: ${details}`, options)
    this.errorType = errorType
    this.details = details
  }
}

/** The client's own failures, with the types above. */
export const localError = (errorType: LocalErrorType, details: string, options?: ErrorOptions) =>
  new RelayError(errorType, details, options)

/** The texts in a list; none when it is no list. */
export function onlyStrings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === 'string') : []
}
