// What an L2PS server says, read with suspicion: a frame of another shape is an INVALID_ANSWER, never a crash.
import { toHex } from './base64.ts'
import type { Frame } from './frame.ts'
import { localError } from './relay-error.ts'
import { type Encrypted, isEncrypted } from './subnet.ts'

/** A message from another peer of the network. */
export interface SubnetMessage {
  from: string
  encrypted: Encrypted
  messageHash: string
  /** It waited for us while we were away. */
  offline: boolean
}

export type SendResult =
  /** Handed to the recipient. `l2psStatus`: whether the network's record has it, `submitted` or `failed`. */
  | { status: 'sent'; messageHash: string; l2psStatus?: string }
  /** Kept until the recipient comes. */
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
  /** How far it is: to its recipient (`queued`, `sent`, `delivered`) or in the rollup (`l2ps_…`). */
  status: string
}

export interface HistoryPage {
  /** Newest first. */
  messages: StoredMessage[]
  hasMore: boolean
}

/** The hash a message gets that is given none: SHA-256 of the text `<ciphertext>:<nonce>`, as lower-case hex. */
export async function hashOf({ ciphertext, nonce }: Encrypted): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(`${ciphertext}:${nonce}`))
  return toHex(new Uint8Array(digest))
}

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

/** The message, if it is one. */
export function readMessage(payload: Frame['payload']): SubnetMessage | undefined {
  const { from, encrypted, messageHash, offline } = payload
  if (typeof from !== 'string' || typeof messageHash !== 'string' || !isEncrypted(encrypted)) return undefined
  return { from, encrypted, messageHash, offline: offline === true }
}

export function onlyStrings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === 'string') : []
}

/** Only what we rely on ourselves, and what would crash a reader who trusts the types. */
function isStored(value: unknown): value is StoredMessage {
  if (typeof value !== 'object' || value === null) return false
  const { from, to, timestamp, encrypted } = value as Partial<StoredMessage>
  return typeof from === 'string' && typeof to === 'string' && Number.isSafeInteger(timestamp) && isEncrypted(encrypted)
}
