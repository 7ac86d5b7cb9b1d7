// The L2PS client: a peer of one network, which reconnects and registers again by itself.
import { type RequestOptions, unlessAborted } from './abort.ts'
import { KeyedQueue } from './async.ts'
import { toHex } from './base64.ts'
import { createEmitter, type Events } from './events.ts'
import { type Frame, localError, onlyStrings, readFrame } from './frame.ts'
import {
  type HistoryPage,
  hashOf,
  readHistory,
  readKey,
  readMessage,
  readSent,
  type SendResult,
  type StoredMessage,
  type SubnetMessage
} from './l2ps-answers.ts'
import { historyProof, type L2psSigner, registerProof } from './l2ps-proof.ts'
import { L2psRequests, type Outgoing, readError, unanswered } from './l2ps-requests.ts'
import { Receiver } from './receiver.ts'
import { RegisteredConnection, type RegistrationHooks } from './registered-connection.ts'
import type { Encrypted } from './sealed.ts'
import type { Transport, TransportEvents, TransportOptions } from './transport.ts'

/** Refusals of `register` that another attempt would get again. Proofs are made anew, and a network may come back. */
const FINAL_REFUSALS = ['INVALID_MESSAGE']

export interface L2psOptions extends Pick<TransportOptions, 'url' | 'webSocket' | 'reconnect' | 'openTimeoutMs'> {
  l2psUid: string
  /** Its public key is our name: `createSigner('ed25519', seed)`, an ML-DSA-65 signer, an identity, or a wallet. */
  signer: L2psSigner
  /** How long a request may take, from the call to the answer, reconnections included. Default 15 000. */
  requestTimeoutMs?: number | undefined
  /**
   * Handles each message, one after the other. A message counts as received once the promise has resolved: until then
   * the server keeps it and delivers it again to the next connection. When it rejects, it is called again for the same
   * message, after 1 s, 2 s, … 30 s. Without it a message counts as received when it has reached the WebSocket.
   */
  onMessage?: ((message: SubnetMessage) => void | Promise<void>) | undefined
}

export interface SendOptions extends RequestOptions {
  /** Names the message; default: {@link hashOf} the body. */
  messageHash?: string | undefined
}

export interface L2psEvents {
  /** With `onMessage`: after its promise has resolved. */
  message: SubnetMessage
  /** A peer of our network has opened its first connection, or closed its last one. */
  peerJoined: { publicKey: string }
  peerLeft: { publicKey: string }
  /** A refusal that belongs to no pending request, a malformed frame, or a failed reconnection. */
  error: { error: Error }
  /** Registered, after a reconnection if `again`. `onlinePeers`: what `peers` holds at this moment. */
  connected: { again: boolean; onlinePeers: string[] }
  /** A registered connection ended. */
  disconnected: TransportEvents['close']
  reconnecting: TransportEvents['reconnecting']
  /** Every frame, before it is handled: for logs and demonstrations. */
  frame: Frame
}

/**
 * Requests made without a connection wait for one; a request whose connection is lost is sent again on the next. Every
 * request takes a `signal` in its last argument.
 */
export interface L2psClient {
  readonly protocol: 'l2ps'
  readonly l2psUid: string
  /** Our name in the network: the signer's public key as lower-case hex. */
  readonly publicKey: string
  readonly events: Events<L2psEvents>
  readonly state: Transport['state']
  /** Bytes handed to the socket and not yet to the network: a fast sender waits while this is large. */
  readonly bufferedBytes: number
  /** The other peers connected to the network now; empty while we are not connected. */
  readonly peers: ReadonlySet<string>
  /**
   * Connects and registers. Rejects with a RelayError: the server's refusal, or NOT_CONNECTED, TIMEOUT; the client is
   * then closed and may connect again. Once it has resolved, the client reconnects after each loss and registers with
   * a fresh proof.
   */
  connect(options?: RequestOptions): Promise<void>
  /**
   * Sends a body, in the order of the calls for one peer. Resolves when the server has stored it. `messageHash` names
   * the message: the same body with the same hash is delivered once, even if it is sent several times. So after TIMEOUT
   * or CLOSED, when it is not known whether it was stored, send it again with the same hash.
   */
  send(to: string, encrypted: Encrypted, options?: SendOptions): Promise<SendResult>
  /** One page of the messages with a peer, in both directions, newest first. `before` is exclusive. */
  history(peerKey: string, page?: RequestOptions & { limit?: number; before?: number }): Promise<HistoryPage>
  /** All messages with a peer, newest first; requests each page when the caller gets to it. */
  historyOf(
    peerKey: string,
    options?: RequestOptions & { pageSize?: number }
  ): AsyncGenerator<StoredMessage, void, undefined>
  /** The keys of those connected to the network now, ourselves included. */
  discover(options?: RequestOptions): Promise<string[]>
  /** The key the server knows for a peer; null when no such peer has been in the network. */
  requestPublicKey(targetId: string, options?: RequestOptions): Promise<string | null>
  /** Fails pending requests with CLOSED; resolves when the socket is gone. */
  close(): Promise<void>
}

export function createL2psClient(options: L2psOptions): L2psClient {
  return new Client(options)
}

class Client implements L2psClient {
  readonly protocol = 'l2ps'
  readonly l2psUid: string
  readonly publicKey: string
  readonly events = createEmitter<L2psEvents>()
  readonly peers = new Set<string>()
  readonly #signer: L2psSigner
  readonly #connection: RegisteredConnection
  readonly #requests: L2psRequests
  readonly #outgoing = new KeyedQueue()
  /** Set if the application acknowledges. */
  readonly #incoming: Receiver<SubnetMessage> | undefined

  constructor(options: L2psOptions) {
    this.l2psUid = options.l2psUid
    this.publicKey = toHex(options.signer.signingPublicKey)
    this.#signer = options.signer
    this.#connection = new RegisteredConnection(options, this.#registrationHooks())
    this.#requests = new L2psRequests(options.requestTimeoutMs ?? 15_000, (frame) => this.#connection.send(frame))
    if (options.onMessage) this.#incoming = this.#receiver(options.onMessage)
  }

  get state() {
    return this.#connection.state
  }

  get bufferedBytes() {
    return this.#connection.bufferedBytes
  }

  connect({ signal }: RequestOptions = {}): Promise<void> {
    const end = () => this.#connection.end(localError('CLOSED', 'the connection attempt was given up'))
    return unlessAborted(signal, () => this.#connection.connect(), end)
  }

  send(to: string, encrypted: Encrypted, { messageHash, signal }: SendOptions = {}): Promise<SendResult> {
    const named = messageHash === undefined ? hashOf(encrypted) : Promise.resolve(messageHash)
    return unlessAborted(signal, async () => {
      // The queue keeps the order in which messages are sent; their answers are awaited at the same time.
      const { answer } = await this.#outgoing.run(to, named, (hash) => ({
        answer: this.#requests.ask({
          type: 'send',
          make: () => {
            signal?.throwIfAborted()
            return { payload: { to, encrypted, messageHash: hash } }
          },
          answers: ['message_sent', 'message_queued'],
          read: (frame) => readSent(frame, hash)
        })
      }))
      return answer
    })
  }

  history(
    peerKey: string,
    { limit, before, signal }: RequestOptions & { limit?: number; before?: number } = {}
  ): Promise<HistoryPage> {
    const page = { ...(before !== undefined && { before }), ...(limit !== undefined && { limit }) }
    const make = async (): Promise<Outgoing> => {
      const { proof, timestamp } = await historyProof(this.#signer, peerKey)
      return { payload: { peerKey, ...page, proof }, timestamp }
    }
    const request = { type: 'history', make, answers: ['history_response'], read: readHistory }
    return unlessAborted(signal, () => this.#requests.ask(request))
  }

  async *historyOf(peerKey: string, { pageSize, signal }: RequestOptions & { pageSize?: number } = {}) {
    let before: number | undefined
    for (;;) {
      const page = { ...(pageSize !== undefined && { limit: pageSize }), ...(before !== undefined && { before }) }
      const { messages, hasMore } = await this.history(peerKey, { ...page, signal })
      yield* messages
      if (!hasMore) return
      const last = messages.at(-1)?.timestamp
      // A server that repeats its pages would otherwise be asked without end.
      if (last === undefined || last >= (before ?? Number.POSITIVE_INFINITY)) {
        throw localError('INVALID_ANSWER', 'there is more history, but the page does not lead to it')
      }
      before = last
    }
  }

  discover({ signal }: RequestOptions = {}): Promise<string[]> {
    const request = {
      type: 'discover',
      make: () => ({ payload: {} }),
      answers: ['discover_response'],
      read: ({ payload }: Frame) => onlyStrings(payload.peers)
    }
    return unlessAborted(signal, () => this.#requests.ask(request))
  }

  requestPublicKey(targetId: string, { signal }: RequestOptions = {}): Promise<string | null> {
    const request = {
      type: 'request_public_key',
      make: () => ({ payload: { targetId } }),
      answers: ['public_key_response'],
      read: readKey
    }
    return unlessAborted(signal, () => this.#requests.ask(request))
  }

  close(): Promise<void> {
    return this.#connection.end(localError('CLOSED', 'the client was closed'))
  }

  #register(): Promise<void> {
    const { l2psUid, publicKey } = this
    const make = async (): Promise<Outgoing> => {
      const { proof, timestamp } = await registerProof(this.#signer, publicKey)
      return { payload: { publicKey, l2psUid, proof, ...(this.#incoming && { features: ['ack'] }) }, timestamp }
    }
    // Read while the frame is being received, so that a `peer_joined` in the next frame is applied after it.
    const read = ({ payload }: Frame) => {
      for (const peer of onlyStrings(payload.onlinePeers)) this.peers.add(peer)
    }
    return this.#requests.ask({ type: 'register', make, answers: ['registered'], read, isBoundToConnection: true })
  }

  #receive(value: unknown): void {
    const frame = readFrame(value)
    if (frame) this.#handle(frame, (value as { requestId?: unknown }).requestId)
    else this.#reportError('Received a frame without type or payload')
  }

  #handle(frame: Frame, requestId: unknown): void {
    this.events.emit('frame', frame)
    if (this.#requests.take(requestId, frame)) return
    const { type, payload } = frame
    if (type === 'error') this.events.emit('error', { error: readError(payload) })
    else if (type === 'message') this.#receiveMessage(payload)
    else if (type === 'peer_joined' || type === 'peer_left') this.#updatePeers(type, payload.publicKey)
  }

  #receiveMessage(payload: Frame['payload']): void {
    const message = readMessage(payload)
    if (!message) this.#reportError('Received a message without sender, body or hash')
    else if (!this.#incoming) this.events.emit('message', message)
    else {
      const seq = typeof payload.seq === 'number' ? payload.seq : undefined
      this.#incoming.arrived({ seq, name: `${message.from} ${message.messageHash}`, message: Promise.resolve(message) })
    }
  }

  #receiver(onMessage: NonNullable<L2psOptions['onMessage']>): Receiver<SubnetMessage> {
    return new Receiver({
      handle: async (message) => {
        await onMessage(message)
        this.events.emit('message', message)
      },
      acknowledge: (seq) => {
        if (this.state === 'open') this.#connection.send(unanswered('ack', { seq }))
      },
      onError: (error) => this.events.emit('error', { error })
    })
  }

  #updatePeers(type: 'peer_joined' | 'peer_left', publicKey: unknown): void {
    if (typeof publicKey !== 'string') {
      this.#reportError(`Received a ${type} without a key`)
    } else if (type === 'peer_joined') {
      this.peers.add(publicKey)
      this.events.emit('peerJoined', { publicKey })
    } else {
      this.peers.delete(publicKey)
      this.events.emit('peerLeft', { publicKey })
    }
  }

  #reportError(text: string): void {
    this.events.emit('error', { error: new Error(text) })
  }

  #registrationHooks(): RegistrationHooks {
    return {
      finalRefusals: FINAL_REFUSALS,
      register: () => this.#register(),
      onWait: (reason) => {
        this.peers.clear()
        this.#incoming?.dropped()
        this.#requests.wait(reason)
      },
      onFail: (reason) => {
        this.peers.clear()
        this.#incoming?.dropped()
        this.#requests.refuse(reason)
      },
      onRegistered: (again) => {
        this.#requests.open()
        this.events.emit('connected', { again, onlinePeers: [...this.peers] })
      },
      onFrame: (value) => this.#receive(value),
      onError: (error) => this.events.emit('error', { error }),
      onDisconnected: (how) => this.events.emit('disconnected', how),
      onReconnecting: (attempt) => this.events.emit('reconnecting', attempt)
    }
  }
}
