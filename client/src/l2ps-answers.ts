// Reads what an L2PS server sends. A frame of an unexpected shape is an INVALID_ANSWER, never a crash.
import { digestOf } from './digest.ts'
import { type Frame, localError } from './frame.ts'
import { type Encrypted, isEncrypted } from './sealed.ts'

/** A message from another peer of the network. */
export interface SubnetMessage {
  from: string
  encrypted: Encrypted
  messageHash: string
  /** It was sent while we were away. */
  offline: boolean
}

export type SendResult =
  /** Sent to the connected recipient. `l2psStatus`: `submitted` when it is recorded in the network, else `failed`. */
  | { status: 'sent'; messageHash: string; l2psStatus?: string }
  /** Kept until the recipient connects. */
  | { status: 'queued'; messageHash: string }

export interface StoredMessage {
  id: string
  from: string
  to: string
  messageHash: string
  encrypted: Encrypted
  l2psUid: string
  l2psTxHash: string | null
  /** Unix milliseconds, strictly increasing within a conversation. */
  timestamp: number
  /** On the way to its recipient (`queued`, `sent`, `delivered`) or into the audit log (`l2ps_…`). */
  status: string
}

export interface HistoryPage {
  /** Newest first. */
  messages: StoredMessage[]
  hasMore: boolean
}

/** The default hash of a message: SHA-256 of the text `<ciphertext>:<nonce>`, as lower-case hex. */
export const hashOf = ({ ciphertext, nonce }: Encrypted): Promise<string> => digestOf(`${ciphertext}:${nonce}`)

export function readSent({ type, payload }: Frame, messageHash: string): SendResult {
  if (type === 'message_queued') return { status: 'queued', messageHash }
  const { l2psStatus } = payload
  return { status: 'sent', messageHash, ...(typeof l2psStatus === 'string' && { l2psStatus }) }
}

export function readHistory({ payload: { messages, hasMore } }: Frame): HistoryPage {
  if (!Array.isArray(messages) || !messages.every(isStored)) {
    throw localError('INVALID_ANSWER', 'the history is not an array of messages')
  }
  return { messages, hasMore: hasMore === true }
}

export function readKey({ payload: { publicKey } }: Frame): string | null {
  if (publicKey === null || typeof publicKey === 'string') return publicKey
  throw localError('INVALID_ANSWER', 'the key is neither text nor null')
}

/** The message; undefined when the payload has not the shape of one. */
export function readMessage(payload: Frame['payload']): SubnetMessage | undefined {
  const { from, encrypted, messageHash, offline } = payload
  if (typeof from !== 'string' || typeof messageHash !== 'string' || !isEncrypted(encrypted)) return undefined
  return { from, encrypted, messageHash, offline: offline === true }
}

/** Checks only the fields that this client uses, and those whose wrong type would crash an application. */
function isStored(value: unknown): value is StoredMessage {
  if (typeof value !== 'object' || value === null) return false
  const { from, to, timestamp, encrypted } = value as Partial<StoredMessage>
  return typeof from === 'string' && typeof to === 'string' && Number.isSafeInteger(timestamp) && isEncrypted(encrypted)
}
