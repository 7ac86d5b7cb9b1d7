import { OptionalKind, type Static, type TObject, type TProperties, type TSchema, Type } from '@sinclair/typebox'
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler'
import type { ValueErrorIterator } from '@sinclair/typebox/errors'
import { faultInWords } from '../util/schema-words.ts'

/** Largest frame that is handled, in bytes of UTF-8 (docs/protocol.md, 1.2). */
export const MAX_FRAME_BYTES = 262_144
/** Largest frame the socket survives; past it the WebSocket closes with 1009 (docs/protocol.md, 1.2). */
export const MAX_SOCKET_FRAME_BYTES = 1_048_576

/** Largest frame of a socket that has not registered: a `register` frame with the largest keys has 30,376 bytes (decision 32). */
export const MAX_UNREGISTERED_FRAME_BYTES = 32_768

/** Said of a frame that has far more values than any body that is relayed (complexity.ts). */
export const TOO_COMPLEX = 'Message too complex (too many values, or nested too deep)'

/** Said to a socket that is read more slowly for what it did itself. */
export const TOO_MUCH =
  'This connection asks for more than it may, so it is read more slowly. Wait for answers before sending more; it is closed if this goes on.'

/** Text that Postgres and JSON both carry unchanged: no NUL, no half of a surrogate pair. */
export const Text = (maxLength: number, description: string) =>
  Type.String({
    minLength: 1,
    maxLength,
    pattern: '^(?:[^\\u0000\\ud800-\\udfff]|[\\ud800-\\udbff][\\udc00-\\udfff])*$',
    'x-allowed': `text of 1 to ${maxLength} characters, without NUL and halves of surrogate pairs`,
    description
  })

/** What a client offers in `register`. */
export const Features = Type.Optional(
  Type.Array(Type.String({ maxLength: 32 }), {
    maxItems: 16,
    description:
      'ack: the client will acknowledge messages; challenge: the proof answers a challenge (signaling); names the ' +
      'server does not know are ignored'
  })
)

/** One frame type a client may send: its payload's schema, compiled, and what to say when the payload is not of it. */
export interface ClientFrame<P extends TProperties = TProperties> {
  readonly type: string
  readonly payload: TObject<P>
  readonly check: TypeCheck<TObject<P>>
  /** Error detail for a payload that lacks something; a wrong field is named after it. */
  readonly invalid: string
}

export type PayloadOf<F> = F extends ClientFrame<infer P> ? Static<TObject<P>> : never

/** Unknown members of a payload are tolerated: clients of other versions send them. */
export function defineFrame<P extends TProperties>(type: string, invalid: string, properties: P): ClientFrame<P> {
  const payload = Type.Object(properties)
  return { type, payload, check: TypeCompiler.Compile(payload), invalid }
}

/**
 * The JSON in a text frame, or undefined when it is none. A key named `__proto__` becomes an own property here, and
 * nothing below ever merges objects, so it stays data.
 */
export function parseJson(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) }
  } catch {
    return undefined
  }
}

/** The value as an object with members, or undefined when it is none (an array is none either). */
export function asObject(value: unknown): Record<string, unknown> | undefined {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isObject ? (value as Record<string, unknown>) : undefined
}

/** Which member is wrong first, and a sentence about it that is fit for strangers (never the value). */
export function firstFault(
  frame: { readonly invalid: string; readonly check: { Errors(value: unknown): ValueErrorIterator } },
  payload: unknown
): { path: string; detail: string } {
  const error = frame.check.Errors(payload).First()
  if (error === undefined) return { path: '', detail: frame.invalid }
  const { path, schema } = error
  // A member that may be left out, and a number, are there when they are falsy, and wrong.
  const isMissing = isFalsy(error.value) && schema[OptionalKind] === undefined && schema.type !== 'integer'
  const isGone = error.value === undefined
  return { path, detail: isMissing || isGone ? frame.invalid : faultInWords(error, 'payload') }
}

/** The protocol counts null, "", 0 and false as missing. */
export function isFalsy(value: unknown): boolean {
  return !value
}

/** One frame type the server sends: for documents and tests. What is sent is written by the encoders beside the schemas. */
export interface ServerFrame {
  readonly type: string
  /** When it is sent. */
  readonly summary: string
  readonly payload: TSchema
}

export const serverFrame = (type: string, summary: string, properties: TProperties): ServerFrame => ({
  type,
  summary,
  payload: Type.Object(properties, { additionalProperties: false })
})

/** Milliseconds since 1970. */
export const Milliseconds = (description: string) =>
  Type.Integer({ minimum: 0, description: `${description}, ms since 1970` })
/** A SHA-256. */
export const Digest = (description: string) =>
  Type.String({ pattern: '^[0-9a-f]{64}$', 'x-allowed': '64 hexadecimal digits', description })
/** What an application sealed: any JSON, never looked into. */
export const Sealed = (description: string) => Type.Unknown({ 'x-allowed': 'any JSON value', description })
/** Where a list of peers stops short. */
export const HasMore = Type.Optional(
  Type.Literal(true, { description: 'There are more behind the last one; not there where there are none' })
)
/** The place of a message in its mailbox. */
export const Seq = Type.Optional(
  Type.Integer({ minimum: 1, description: 'To acknowledge it by; only for clients that offered the feature `ack`' })
)
