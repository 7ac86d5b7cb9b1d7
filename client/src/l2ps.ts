// The L2PS client: a peer of one network that is registered whenever it is connected, and connected whenever it can be.
import { toHex } from './base64.ts'
import { createEmitter, type Events } from './events.ts'
import { type Frame, readFrame } from './frame.ts'
import {
  type HistoryPage,
  hashOf,
  onlyStrings,
  readHistory,
  readKey,
  readMessage,
  readSent,
  type SendResult,
  type StoredMessage,
  type SubnetMessage
} from './l2ps-answers.ts'
import { historyProof, type L2psSigner, registerProof } from './l2ps-proof.ts'
import { Lanes } from './lanes.ts'
import { RegisteredConnection, type RegistrationHooks } from './registered-connection.ts'
import { localError } from './relay-error.ts'
import { type Outgoing, Requests, readError } from './requests.ts'
import type { Encrypted } from './subnet.ts'
import type { Transport, TransportEvents, TransportOptions } from './transport.ts'

/** Refusals of `register` that will not go away by trying again; a proof is fresh and a network may come back. */
const FINAL_REFUSALS = ['INVALID_MESSAGE']

export interface L2psOptions extends Pick<TransportOptions, 'url' | 'webSocket' | 'reconnect' | 'openTimeoutMs'> {
  l2psUid: string
  /** Signs for us, and is who we are: `createSigner('ed25519', seed)`, an ML-DSA-65 one, an identity, or a wallet. */
  signer: L2psSigner
  /** How long a request may take, from the call to the answer, reconnections included. Default 15 000. */
  requestTimeoutMs?: number | undefined
}

export interface L2psEvents {
  message: SubnetMessage
  /** A peer of our network has come, with its first connection, or gone, with its last. */
  peerJoined: { publicKey: string }
  peerLeft: { publicKey: string }
  /** A refusal that belongs to no request that still waits, a bad frame, or a failed reconnection. */
  error: { error: Error }
  /** Registered, after a reconnection if `again`. `onlinePeers`: what `peers` holds at this moment. */
  connected: { again: boolean; onlinePeers: string[] }
  /** A registered connection ended. */
  disconnected: TransportEvents['close']
  reconnecting: TransportEvents['reconnecting']
  /** Every frame, before anything is made of it: for logs and demonstrations. */
  frame: Frame
}

/** Requests made while there is no connection wait for it; one whose connection is lost is made again on the next. */
export interface L2psClient {
  readonly l2psUid: string
  /** Our name in the network: the signer's public key, as lower-case hex. */
  readonly publicKey: string
  readonly events: Events<L2psEvents>
  readonly state: Transport['state']
  /** Bytes handed to the socket and not yet to the network: a fast sender waits while this is large. */
  readonly bufferedBytes: number
  /** Who else is connected to the network now; empty while we are not. */
  readonly peers: ReadonlySet<string>
  /**
   * Connects and registers. Rejects with a RelayError: the server's refusal, or NOT_CONNECTED, TIMEOUT; the client is
   * then closed and may try again. Once it has resolved, lost connections come back and register by themselves, with
   * a fresh proof each time.
   */
  connect(): Promise<void>
  /**
   * Passes on a body, in the order of the calls for one peer. Resolves when the server has stored it. `messageHash`
   * names the message: the same body with the same hash is delivered once, however often it is sent, so after an error
   * that leaves its fate open (TIMEOUT, CLOSED) it may be sent again with the same hash. Default: {@link hashOf}.
   */
  send(to: string, encrypted: Encrypted, messageHash?: string): Promise<SendResult>
  /** One page of what was said with a peer, in both directions, newest first: before that time, exclusively. */
  history(peerKey: string, page?: { limit?: number; before?: number }): Promise<HistoryPage>
  /** Everything that was said with a peer, newest first; asks for a page when it is needed. */
  historyOf(peerKey: string, options?: { pageSize?: number }): AsyncGenerator<StoredMessage, void, undefined>
  /** The keys of those connected to the network now, ourselves included. */
  discover(): Promise<string[]>
  /** The key the server knows for a peer; null when no such peer has been in the network. */
  requestPublicKey(targetId: string): Promise<string | null>
  /** Fails what is under way, with CLOSED; resolves when the socket is gone. */
  close(): Promise<void>
}

export function createL2psClient(options: L2psOptions): L2psClient {
  return new Client(options)
}

class Client implements L2psClient {
  readonly l2psUid: string
  readonly publicKey: string
  readonly events = createEmitter<L2psEvents>()
  readonly peers = new Set<string>()
  readonly #signer: L2psSigner
  readonly #connection: RegisteredConnection
  readonly #requests: Requests
  readonly #outgoing = new Lanes()

  constructor(options: L2psOptions) {
    this.l2psUid = options.l2psUid
    this.publicKey = toHex(options.signer.signingPublicKey)
    this.#signer = options.signer
    this.#connection = new RegisteredConnection(options, this.#registrationHooks())
    this.#requests = new Requests(options.requestTimeoutMs ?? 15_000, (frame) => this.#connection.send(frame))
  }

  get state() {
    return this.#connection.state
  }

  get bufferedBytes() {
    return this.#connection.bufferedBytes
  }

  connect(): Promise<void> {
    return this.#connection.connect()
  }

  async send(to: string, encrypted: Encrypted, messageHash?: string): Promise<SendResult> {
    const named = messageHash === undefined ? hashOf(encrypted) : Promise.resolve(messageHash)
    // The lane keeps the order in which sends leave; their answers are waited for side by side.
    const { answer } = await this.#outgoing.run(to, named, (hash) => ({
      answer: this.#requests.ask({
        type: 'send',
        make: () => ({ payload: { to, encrypted, messageHash: hash } }),
        answers: ['message_sent', 'message_queued'],
        read: (frame) => readSent(frame, hash)
      })
    }))
    return answer
  }

  history(peerKey: string, { limit, before }: { limit?: number; before?: number } = {}): Promise<HistoryPage> {
    const page = { ...(before !== undefined && { before }), ...(limit !== undefined && { limit }) }
    const make = async (): Promise<Outgoing> => {
      const { proof, timestamp } = await historyProof(this.#signer, peerKey)
      return { payload: { peerKey, ...page, proof }, timestamp }
    }
    return this.#requests.ask({ type: 'history', make, answers: ['history_response'], read: readHistory })
  }

  async *historyOf(peerKey: string, { pageSize }: { pageSize?: number } = {}) {
    let before: number | undefined
    for (;;) {
      const page = { ...(pageSize !== undefined && { limit: pageSize }), ...(before !== undefined && { before }) }
      const { messages, hasMore } = await this.history(peerKey, page)
      yield* messages
      if (!hasMore) return
      const last = messages.at(-1)?.timestamp
      // Without this a server that repeats itself would be asked for ever.
      if (last === undefined || last >= (before ?? Number.POSITIVE_INFINITY)) {
        throw localError('INVALID_ANSWER', 'there is more history, but the page does not lead to it')
      }
      before = last
    }
  }

  discover(): Promise<string[]> {
    return this.#requests.ask({
      type: 'discover',
      make: () => ({ payload: {} }),
      answers: ['discover_response'],
      read: ({ payload }) => onlyStrings(payload.peers)
    })
  }

  requestPublicKey(targetId: string): Promise<string | null> {
    return this.#requests.ask({
      type: 'request_public_key',
      make: () => ({ payload: { targetId } }),
      answers: ['public_key_response'],
      read: readKey
    })
  }

  close(): Promise<void> {
    return this.#connection.end(localError('CLOSED', 'the client was closed'))
  }

  #register(): Promise<void> {
    const { l2psUid, publicKey } = this
    const make = async (): Promise<Outgoing> => {
      const { proof, timestamp } = await registerProof(this.#signer, publicKey)
      return { payload: { publicKey, l2psUid, proof }, timestamp }
    }
    // Read as its frame comes, so that a peer who joins in the next one is not forgotten again.
    const read = ({ payload }: Frame) => {
      for (const peer of onlyStrings(payload.onlinePeers)) this.peers.add(peer)
    }
    return this.#requests.ask({ type: 'register', make, answers: ['registered'], read, isBoundToConnection: true })
  }

  #receive(value: unknown): void {
    const frame = readFrame(value)
    if (frame) this.#hear(frame, (value as { requestId?: unknown }).requestId)
    else this.#complain('Received a frame without type or payload')
  }

  #hear(frame: Frame, requestId: unknown): void {
    this.events.emit('frame', frame)
    if (this.#requests.take(requestId, frame)) return
    const { type, payload } = frame
    if (type === 'error') this.events.emit('error', { error: readError(payload) })
    else if (type === 'message') this.#receiveMessage(payload)
    else if (type === 'peer_joined' || type === 'peer_left') this.#meet(type, payload.publicKey)
  }

  #receiveMessage(payload: Frame['payload']): void {
    const message = readMessage(payload)
    if (message) this.events.emit('message', message)
    else this.#complain('Received a message without sender, body or hash')
  }

  #meet(type: 'peer_joined' | 'peer_left', publicKey: unknown): void {
    if (typeof publicKey !== 'string') {
      this.#complain(`Received a ${type} without a key`)
    } else if (type === 'peer_joined') {
      this.peers.add(publicKey)
      this.events.emit('peerJoined', { publicKey })
    } else {
      this.peers.delete(publicKey)
      this.events.emit('peerLeft', { publicKey })
    }
  }

  #complain(text: string): void {
    this.events.emit('error', { error: new Error(text) })
  }

  #registrationHooks(): RegistrationHooks {
    return {
      finalRefusals: FINAL_REFUSALS,
      register: () => this.#register(),
      onWait: (reason) => {
        this.peers.clear()
        this.#requests.wait(reason)
      },
      onFail: (reason) => {
        this.peers.clear()
        this.#requests.fail(reason)
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
