import { type TProperties, type TSchema, Type } from '@sinclair/typebox'

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
/** What an application sealed: any JSON, never looked into. */
export const Sealed = (description: string) => Type.Unknown({ description })
/** The place of a message in its mailbox. */
export const Seq = Type.Optional(
  Type.Integer({ minimum: 1, description: 'To acknowledge it by; only for clients that offered the feature `ack`' })
)
