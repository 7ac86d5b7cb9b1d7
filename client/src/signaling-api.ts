// What an application sees of the signaling client.
import type { RequestOptions } from './abort.ts'
import type { Events } from './events.ts'
import type { Frame } from './frame.ts'
import type { Identity } from './identity.ts'
import type { KeyChange } from './known-keys.ts'
import type { Outcome } from './signaling-answers.ts'
import type { ClientStorage } from './storage.ts'
import type { Transport, TransportEvents, TransportOptions } from './transport.ts'

export interface SignalingOptions extends Pick<TransportOptions, 'url' | 'webSocket' | 'reconnect' | 'openTimeoutMs'> {
  /** The name others find us by. The server pins it to the identity's signing key. */
  clientId: string
  identity: Identity
  /** How long a request waits for a connection, and then again for its answer. Default 10 000. */
  requestTimeoutMs?: number | undefined
  /**
   * Handles each message, one after the other. A message counts as received once the promise has resolved: until then
   * the server keeps it and delivers it again to the next connection. When it rejects, it is called again for the same
   * message, after 1 s, 2 s, … 30 s. Without it a message counts as received when it has reached the WebSocket.
   */
  onMessage?: ((message: IncomingMessage) => void | Promise<void>) | undefined
  /**
   * Whether to ask for a challenge of the server and sign it, so that what is signed is good for this connection alone.
   * `offered` (the default): wherever the server has them. Once a client id was registered so, it is with a challenge
   * only, by every program that uses it. `required`: never register without. `never`: for an id that programs without
   * this feature use, too. Source: docs/protocol.md, 2.9.
   */
  challenge?: 'offered' | 'required' | 'never' | undefined
  /** Remembers the keys of other peers, so that `keyChanged` is emitted also after a restart. Default: in memory. */
  knownKeys?: ClientStorage | undefined
}

/** A message from another peer, sent now or while we were away. */
export interface IncomingMessage {
  from: string
  /** The body as received. */
  sealed: unknown
  /** SHA-256 of the body's text as it came, in hex: by it the message is on record. */
  digest: string
  /** The opened body; absent when it could not be opened, and then `error` says why. */
  text?: string
  error?: Error
  /** When the server queued it (Unix milliseconds); absent on live messages. */
  queuedAt?: number
}

/** What a peer has announced. */
export interface PeerKey {
  /** What messages to it are sealed to. */
  publicKey: Uint8Array
  /**
   * When another signing key took over the client id, whose owner had been away for long (Unix milliseconds); absent when
   * none did. Whoever knew the peer before should make sure whose key this is. Source: docs/protocol.md, 2.8.
   */
  ownerChangedAt?: number
}

export interface ServerQuestion {
  questionId: string
  question: unknown
}

/** What became of a message that the server has stored. */
export interface Confirmation {
  messageId: string
  /** The recipient was connected (`sent`), or the server keeps the message until it is (`queued`). */
  status: Outcome
  /** SHA-256 of the body's text, in hex: by it the message is on record. */
  digest: string
}

/** A message of ours, or to us. */
export interface RecordedMessage {
  from: string
  to: string
  digest: string
}

export interface SignalingEvents {
  /** With `onMessage`: after its promise has resolved. */
  message: IncomingMessage
  /** A peer announces another key than before: a new device, or somebody else. */
  keyChanged: KeyChange
  /**
   * The recipient is away and the server keeps the message. `messageId`: the oldest unsettled message to it, because
   * the server names only the recipient; absent when there is none.
   */
  queued: { targetId: string; messageId?: string; details?: string }
  peerDisconnected: { peerId: string }
  serverQuestion: ServerQuestion
  /** A refusal that belongs to no request (usually to a message), a malformed frame, or a failed reconnection. */
  error: { error: Error; messageId?: string }
  /** Registered. `again`: after a reconnection. */
  connected: { again: boolean }
  /** A registered connection ended. */
  disconnected: TransportEvents['close']
  reconnecting: TransportEvents['reconnecting']
  /** Every frame, before it is handled: for logs and demonstrations. */
  frame: Frame
}

/** Every request takes a `signal` in its last argument. */
export interface SignalingClient {
  readonly protocol: 'signaling'
  readonly clientId: string
  readonly identity: Identity
  readonly events: Events<SignalingEvents>
  readonly state: Transport['state']
  /** Bytes handed to the socket and not yet to the network: a fast sender waits while this is large. */
  readonly bufferedBytes: number
  /**
   * Connects and registers. Rejects with a {@link RelayError}: the server's refusal, or NOT_CONNECTED, TIMEOUT; the
   * client is then closed and may connect again. Once it has resolved, the client reconnects and registers after each
   * loss; requests made meanwhile wait, up to `requestTimeoutMs`.
   */
  connect(options?: RequestOptions): Promise<void>
  /** Client ids that are connected now, ourselves included. When it resolves, every earlier message was handled. */
  discover(options?: RequestOptions): Promise<string[]>
  /** A peer's public key, from a cache that forgets when the peer leaves. Rejects with PEER_NOT_FOUND. */
  requestPublicKey(peerId: string, options?: RequestOptions): Promise<Uint8Array>
  /** The same, and whether the client id has changed its owner. */
  requestPeerKey(peerId: string, options?: RequestOptions): Promise<PeerKey>
  /**
   * Seals text to the peer's key and hands it to the socket, in the order of the calls for one peer. Resolves with
   * the id that `queued` and `error` events use. The server does not confirm a live message: resolving means sent.
   */
  send(peerId: string, text: string, options?: RequestOptions): Promise<string>
  /**
   * Sends a body as it is: any JSON value but null, false, 0 and ''. Or a function that makes it (resolves with it): called at
   * once, and again when a connection was lost before it was sent, as the peer may have another key by then.
   */
  sendSealed(peerId: string, body: unknown, options?: RequestOptions): Promise<string>
  /**
   * Like `send`, and waits until the server has stored the message: a round trip more. Rejects with the server's
   * refusal. After NOT_CONNECTED, TIMEOUT, CLOSED or UNCONFIRMED it is not known whether it was stored.
   */
  sendConfirmed(peerId: string, text: string, options?: RequestOptions): Promise<Confirmation>
  /** The same for a body as it is. */
  sendSealedConfirmed(peerId: string, body: unknown, options?: RequestOptions): Promise<Confirmation>
  /**
   * The hashes of the message's audit records, oldest first, for `fetchEvidence` in the network `signaling`. None until
   * the log that has them is signed, about a second after the message; several of a message that was sent again.
   */
  requestRecords(message: RecordedMessage, options?: RequestOptions): Promise<string[]>
  /** Answers a question of the server. */
  respond(questionId: string, response: unknown, options?: RequestOptions): Promise<void>
  /** Makes the server ask us a question, which is also emitted as `serverQuestion`. */
  debugQuestion(options?: RequestOptions): Promise<ServerQuestion>
  /**
   * Fails pending requests with CLOSED; resolves when the socket is gone and every received message was emitted. It
   * does not wait for `onMessage`: a message whose handler has not resolved is delivered again.
   */
  close(): Promise<void>
}
