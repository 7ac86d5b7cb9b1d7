import { isAscii } from 'node:buffer'
import { Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import type { QueueEntry } from '../store/queue-entry.ts'

/** One thing that a relay hands another. */
export interface HandedOver {
  readonly network: string
  readonly recipient: string
  /** Epoch of the recipient's place, as the sender's relay found it. */
  readonly epoch: number
  /** Place of the message; 0: the mailbox is to be read anew. */
  readonly seq: number
  readonly isShared: boolean
  /** The message itself, where the bus carries bodies. */
  readonly entry: QueueEntry | undefined
}

/** Committed messages for peers of another relay. */
export interface HandOver {
  /** Id of the relay that sends. */
  readonly from: string
  /** Counts what `from` has sent to this relay. */
  readonly number: number
  readonly items: readonly HandedOver[]
}

/** Bytes that an item takes beside its body, at most about. */
export const ITEM_BYTES = 1_600
/** The same for one that has no body, in ASCII: names of 256 characters may be written as six each. */
export const REFERENCE_BYTES = 2_400

const Natural = Type.Integer({ minimum: 0 })
const Row = Type.Tuple([Type.String(), Type.String(), Natural, Natural, Type.Integer({ minimum: 0, maximum: 1 })])
const Body = Type.Tuple([
  Type.String(),
  Type.Union([Type.String(), Type.Null()]),
  Natural,
  Type.Union([Type.String(), Type.Null()]),
  Type.Integer({ minimum: 0, maximum: 1 }),
  Natural
])
const Head = TypeCompiler.Compile(
  Type.Tuple([Type.String(), Natural, Type.Array(Row), Type.Array(Type.Union([Body, Type.Null()]))])
)

/** A line of JSON in ASCII; then the bodies as they are, one behind the other. */
export function encodeHandOver({ from, number, items }: HandOver): Buffer {
  const rows = items.map((item) => [item.network, item.recipient, item.epoch, item.seq, item.isShared ? 1 : 0])
  const facts = items.map(({ entry: e }) =>
    e === undefined ? null : [e.sender, e.digest, e.bytes, e.keyId, e.slot ? 1 : 0, e.acceptedAt]
  )
  const head = `${asciiJson([from, number, rows, facts])}\n`
  const message = Buffer.allocUnsafe(items.reduce((sum, { entry }) => sum + (entry?.bytes ?? 0), head.length))
  let at = message.write(head, 'latin1')
  for (const { entry } of items) {
    // As many bytes as characters: it is ASCII, which latin1 writes much faster.
    if (entry !== undefined)
      at += message.write(entry.sealed, at, entry.sealed.length === entry.bytes ? 'latin1' : 'utf8')
  }
  return message
}

/** Undefined: it is no hand-over that this version understands. */
export function decodeHandOver(message: Buffer): HandOver | undefined {
  const end = message.indexOf(10)
  if (end === -1) return undefined
  const head = parsed(message.toString('latin1', 0, end))
  if (!Head.Check(head)) return undefined
  const [from, number, rows, bodies] = head
  const encoding = isAscii(message) ? 'latin1' : 'utf8' // nearly all bodies are base64, which latin1 reads much faster
  let at = end + 1
  const items = rows.map(([network, recipient, epoch, seq, shared], index): HandedOver => {
    const isShared = shared === 1
    const body = bodies[index]
    if (body === undefined || body === null) return { network, recipient, epoch, seq, isShared, entry: undefined }
    const [sender, digest, bytes, keyId, slot, acceptedAt] = body
    const sealed = message.toString(encoding, at, at + bytes)
    at += bytes
    const entry: QueueEntry = {
      seq,
      network,
      sender,
      recipient,
      digest,
      sealed,
      bytes,
      keyId,
      slot: slot === 1,
      acceptedAt,
      deliveries: 0,
      isShared
    }
    return { network, recipient, epoch, seq, isShared, entry }
  })
  return { from, number, items }
}

/** JSON without a character beyond ASCII: its length in bytes is that of the text, and any part of it is valid UTF-8. */
export const asciiJson = (value: unknown): string =>
  JSON.stringify(value).replace(/[\u0080-\uffff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)

export function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
