/**
 * Carries messages between relays. It may lose, repeat and reorder any of them: what must not be lost is in Postgres, and
 * hand-overs are numbered (hand-over-numbers.ts). What is published while the bus is away is lost without an error.
 */
export interface Bus {
  readonly name: 'nats' | 'postgres'
  /** Do hand-overs carry bodies? Else the relay that is told reads them from Postgres. */
  readonly carriesBodies: boolean
  /** Longest message, in bytes. */
  readonly maxBytes: number
  readonly isConnected: boolean
  /** Backend of the connection that listens in Postgres; null: it needs none. */
  readonly listenerPid: number | null
  /** To one relay, by its id. */
  publish(relay: string, message: Buffer): void
  /** To all relays, this one included. */
  broadcast(message: Buffer): void
  /** Resolves to the answer; `unreachable`: nobody listens under this id; `silent`: no answer within `ms`. */
  ask(relay: string, question: Buffer, ms: number): Promise<Buffer | 'unreachable' | 'silent'>
  close(): Promise<void>
}

/** What a bus tells its relay. */
export interface BusListener {
  message(message: Buffer): void
  answer(question: Buffer): Promise<Buffer>
  /** The bus is there, or there again: what was sent before may have been missed. */
  connected(): void
  disconnected(): void
}
