// What a chat is, whichever protocol carries it.

/**
 * What is known of a message of ours. `sent`: the server took it and the recipient was connected. `queued`: the
 * recipient is away and the server keeps it. `delivered`: the recipient has it. `failed`: refused. `unknown`: the
 * connection was lost before the server answered.
 */
export type MessageStatus = 'sent' | 'queued' | 'delivered' | 'failed' | 'unknown'

export interface ReceivedMessage {
  readonly from: string
  /** Absent when it could not be opened; `problem` then says why. */
  readonly text?: string
  readonly problem?: string
  /** It was sent while we were away. */
  readonly waited: boolean
}

/** Receives everything that happens in a chat. */
export interface Listener {
  message(message: ReceivedMessage): void
  /** A peer came or left. */
  presence(peer: string, isHere: boolean): void
  /** `number`: the one that `send` was called with. */
  status(number: number, status: MessageStatus, reason?: string): void
  /** `over`: there will be no reconnection. */
  connection(state: 'lost' | 'again' | 'over', details?: string): void
  problem(text: string): void
}

export interface Chat {
  /** Our own name: a client id, or a public key in hex. */
  readonly me: string
  /** Connects and registers. Rejects with a RelayError. */
  start(): Promise<void>
  /** Sends a message; its status is reported to the listener by this number. Resolves when the first one is known. */
  send(number: number, to: string, text: string): Promise<void>
  /** The other peers that are connected now. */
  present(): Promise<string[]>
  close(): Promise<void>
}

/** What went wrong, as a sentence. */
export function errorText(error: unknown): string {
  const { details, message } = error as { details?: string; message: string }
  return details ?? message
}

/** `unknown` after errors that do not tell whether the server has the message. */
export const statusAfter = (error: unknown): MessageStatus =>
  ['NOT_CONNECTED', 'TIMEOUT', 'CLOSED'].includes((error as { errorType?: string }).errorType ?? '')
    ? 'unknown'
    : 'failed'
