// What a chat is, whichever protocol carries it.

/**
 * What is known of a message of ours. `sent`: the server took it and the other was there. `queued`: the other is away,
 * the server keeps it. `delivered`: the other's end has it. `failed`: refused. `unknown`: nobody said before the
 * connection was lost.
 */
export type Fate = 'sent' | 'queued' | 'delivered' | 'failed' | 'unknown'

export interface Heard {
  readonly from: string
  /** Absent when it could not be opened; `problem` then says why. */
  readonly text?: string
  readonly problem?: string
  /** It waited for us while we were away. */
  readonly waited: boolean
}

/** Who is told what happens. */
export interface Listener {
  message(heard: Heard): void
  /** Somebody came or went. */
  presence(peer: string, isHere: boolean): void
  fate(number: number, fate: Fate, why?: string): void
  /** `over`: it will not come back by itself. */
  connection(state: 'lost' | 'again' | 'over', details?: string): void
  problem(text: string): void
}

export interface Chat {
  /** What we are called: a name, or a key in hex. */
  readonly me: string
  /** Connects and registers. Rejects with a RelayError. */
  start(): Promise<void>
  /** Hands one message over; the listener hears its fate by this number. Resolves when its first fate is known. */
  send(number: number, to: string, text: string): Promise<void>
  /** Who is connected now, we not included. */
  present(): Promise<string[]>
  close(): Promise<void>
}

/** What went wrong, as a sentence. */
export function sentence(error: unknown): string {
  const { details, message } = error as { details?: string; message: string }
  return details ?? message
}

/** Failures after which nobody knows whether the server has the message. */
export const fateOf = (error: unknown): Fate =>
  ['NOT_CONNECTED', 'TIMEOUT', 'CLOSED'].includes((error as { errorType?: string }).errorType ?? '')
    ? 'unknown'
    : 'failed'
