// The signaling client: a peer that reconnects and registers again by itself.
import { ConnectionGate, FetchCache, KeyedQueue } from './async.ts'
import { createEmitter, type Events } from './events.ts'
import { type Frame, localError, type RelayError, readFrame } from './frame.ts'
import type { Identity } from './identity.ts'
import { RegisteredConnection, type RegistrationHooks } from './registered-connection.ts'
import { open, seal } from './sealed.ts'
import { type AnswerHooks, SignalingAnswers } from './signaling-answers.ts'
import type { Transport, TransportEvents, TransportOptions } from './transport.ts'

/** Refusals of `register` that another attempt would get again. */
const FINAL_REFUSALS = ['INVALID_MESSAGE', 'INVALID_PUBLIC_KEY', 'INVALID_PROOF']

/** The server does not announce when a peer comes back with another key, so keys are cached no longer than this. */
const KEY_LIFETIME_MS = 60_000
const MAX_CACHED_KEYS = 1_000

export interface SignalingOptions extends Pick<TransportOptions, 'url' | 'webSocket' | 'reconnect' | 'openTimeoutMs'> {
  /** The name others find us by. The server pins it to the identity's signing key. */
  clientId: string
  identity: Identity
  /** How long a request waits for a connection, and then again for its answer. Default 10 000. */
  requestTimeoutMs?: number | undefined
}

/** A message from another peer, sent now or while we were away. */
export interface IncomingMessage {
  from: string
  /** The body as received. */
  sealed: unknown
  /** The opened body; absent when it could not be opened, and then `error` says why. */
  text?: string
  error?: Error
  /** When the server queued it (Unix milliseconds); absent on live messages. */
  queuedAt?: number
}

export interface ServerQuestion {
  questionId: string
  question: unknown
}

export interface SignalingEvents {
  message: IncomingMessage
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

export interface SignalingClient {
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
  connect(): Promise<void>
  /** Client ids that are connected now, ourselves included. When it resolves, every earlier message was handled. */
  discover(): Promise<string[]>
  /** A peer's public key, from a cache that forgets when the peer leaves. Rejects with PEER_NOT_FOUND. */
  requestPublicKey(peerId: string): Promise<Uint8Array>
  /**
   * Seals text to the peer's key and hands it to the socket, in the order of the calls for one peer. Resolves with
   * the id that `queued` and `error` events use. The server does not confirm a live message: resolving means sent.
   */
  send(peerId: string, text: string): Promise<string>
  /** Sends a body as it is: any JSON value but null, false, 0 and ''. */
  sendSealed(peerId: string, body: unknown): Promise<string>
  /** Answers a question of the server. */
  respond(questionId: string, response: unknown): Promise<void>
  /** Makes the server ask us a question, which is also emitted as `serverQuestion`. */
  debugQuestion(): Promise<ServerQuestion>
  /** Fails pending requests with CLOSED; resolves when the socket is gone and every received message was emitted. */
  close(): Promise<void>
}

export function createSignalingClient(options: SignalingOptions): SignalingClient {
  return new Client(options)
}

class Client implements SignalingClient {
  readonly clientId: string
  readonly identity: Identity
  readonly events = createEmitter<SignalingEvents>()
  readonly #timeoutMs: number
  readonly #connection: RegisteredConnection
  readonly #answers: SignalingAnswers
  readonly #gate = new ConnectionGate()
  readonly #keys = new FetchCache<Uint8Array>(KEY_LIFETIME_MS, MAX_CACHED_KEYS)
  readonly #outgoing = new KeyedQueue()
  readonly #incoming = new KeyedQueue()
  #proof: ReturnType<Identity['proofOf']> | undefined
  #sent = 0

  constructor(options: SignalingOptions) {
    this.clientId = options.clientId
    this.identity = options.identity
    this.#timeoutMs = options.requestTimeoutMs ?? 10_000
    this.#answers = new SignalingAnswers(this.#timeoutMs, this.#answerHooks())
    this.#connection = new RegisteredConnection(options, this.#registrationHooks())
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

  async discover(): Promise<string[]> {
    const { peers } = await this.#request({ type: 'discover', payload: {} }, 'discover')
    return Array.isArray(peers) ? peers.filter((peer) => typeof peer === 'string') : []
  }

  requestPublicKey(peerId: string): Promise<Uint8Array> {
    return this.#keys.get(peerId, async () => {
      const frame = { type: 'request_public_key', payload: { targetId: peerId } }
      const { publicKey } = await this.#request(frame, 'public_key_response', peerId)
      if (!Array.isArray(publicKey)) throw localError('INVALID_ANSWER', `the key of ${peerId} is not an array of bytes`)
      return Uint8Array.from(publicKey)
    })
  }

  send(peerId: string, text: string): Promise<string> {
    const sealed = this.requestPublicKey(peerId).then((key) => seal(text, key))
    return this.#outgoing.run(peerId, sealed, (body) => this.#sendMessage(peerId, body))
  }

  sendSealed(peerId: string, body: unknown): Promise<string> {
    return this.#outgoing.run(peerId, Promise.resolve(body), () => this.#sendMessage(peerId, body))
  }

  async respond(questionId: string, response: unknown): Promise<void> {
    await this.#gate.pass(this.#timeoutMs)
    this.#sendUnanswered({ type: 'peer_response', payload: { questionId, response } })
  }

  async debugQuestion(): Promise<ServerQuestion> {
    return readQuestion(await this.#request({ type: 'debug_question', payload: {} }, 'server_question'))
  }

  async close(): Promise<void> {
    await this.#connection.end(localError('CLOSED', 'the client was closed'))
    await this.#incoming.idle()
  }

  async #sendMessage(targetId: string, message: unknown): Promise<string> {
    await this.#gate.pass(this.#timeoutMs)
    return this.#sendUnanswered({ type: 'message', payload: { targetId, message } }, targetId)
  }

  #sendUnanswered(frame: Frame, targetId?: string): string {
    this.#connection.send(frame)
    const messageId = `m${++this.#sent}`
    this.#answers.sent(messageId, targetId)
    return messageId
  }

  async #request(frame: Frame, answer: string, peerId?: string): Promise<Frame['payload']> {
    await this.#gate.pass(this.#timeoutMs)
    this.#connection.send(frame)
    return this.#answers.request(answer, peerId)
  }

  async #register(): Promise<void> {
    const { publicKey } = this.identity
    this.#proof ??= this.identity.proofOf(publicKey)
    const verification = await this.#proof
    // The field alone tells the relay that replies and notifications may come in any order.
    const payload = { clientId: this.clientId, publicKey: [...publicKey], verification, features: [] }
    this.#connection.send({ type: 'register', payload })
    await this.#answers.request('register')
  }

  #receive(value: unknown): void {
    const frame = readFrame(value)
    if (!frame) {
      this.events.emit('error', { error: new Error('Received a frame without type or payload') })
      return
    }
    this.events.emit('frame', frame)
    const { type, payload } = frame
    if (type === 'message') this.#receiveMessage(payload)
    else if (type === 'peer_disconnected') {
      this.#keys.forget(String(payload.peerId))
      this.events.emit('peerDisconnected', { peerId: String(payload.peerId) })
    } else {
      this.#answers.take(frame)
      if (type === 'server_question') this.events.emit('serverQuestion', readQuestion(payload))
    }
  }

  /** Opening takes time that depends on the size; messages are emitted in the order in which they came. */
  #receiveMessage({ fromId, message: sealed, timestamp }: Frame['payload']): void {
    const base = { from: String(fromId), sealed, ...(typeof timestamp === 'number' && { queuedAt: timestamp }) }
    const opened = open(sealed, this.identity.secretKey).then(
      (text) => ({ ...base, text }),
      (error: Error) => ({ ...base, error })
    )
    this.#incoming.run('', opened, (message) => this.events.emit('message', message))
  }

  #registrationHooks(): RegistrationHooks {
    return {
      finalRefusals: FINAL_REFUSALS,
      register: () => this.#register(),
      onWait: (reason) => {
        this.#gate.wait()
        if (reason) this.#abandonPending(reason)
      },
      onFail: (reason) => {
        this.#gate.refuse(reason)
        this.#abandonPending(reason)
      },
      onRegistered: (again) => {
        this.#gate.open()
        this.events.emit('connected', { again })
      },
      onFrame: (value) => this.#receive(value),
      onError: (error) => this.events.emit('error', { error }),
      onDisconnected: (how) => this.events.emit('disconnected', how),
      onReconnecting: (attempt) => this.events.emit('reconnecting', attempt)
    }
  }

  #abandonPending(reason: RelayError): void {
    this.#answers.abandon(reason)
    this.#keys.clear() // peers may have left while the server could not tell us
  }

  #answerHooks(): AnswerHooks {
    return {
      onQueued: (event) => {
        this.#keys.forget(event.targetId) // the peer is away and may come back with another key
        this.events.emit('queued', event)
      },
      onError: (error, message) => {
        if (message?.targetId) this.#keys.forget(message.targetId) // a changed key is one reason to be refused
        this.events.emit('error', { error, ...(message && { messageId: message.messageId }) })
      },
      onAmbiguousError: () => this.#roundTrip()
    }
  }

  /** Makes a request of a type that is not pending, so that its answer cannot be mistaken for another one. */
  #roundTrip(): void {
    const asked = this.#answers.expects('discover')
      ? this.#request(
          { type: 'request_public_key', payload: { targetId: this.clientId } },
          'public_key_response',
          this.clientId
        )
      : this.discover()
    asked.catch(() => {}) // the requests that the ambiguous error may belong to have their own deadlines
  }
}

function readQuestion({ questionId, question }: Frame['payload']): ServerQuestion {
  return { questionId: String(questionId), question }
}
