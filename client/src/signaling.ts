// The signaling client: a peer that reconnects and registers again by itself.
import { type RequestOptions, unlessAborted } from './abort.ts'
import { ConnectionGate, FetchCache, KeyedQueue } from './async.ts'
import { Challenges } from './challenge.ts'
import { digestOf } from './digest.ts'
import { createEmitter } from './events.ts'
import { type Frame, localError, onlyStrings, type RelayError, readFrame } from './frame.ts'
import type { Identity } from './identity.ts'
import { KnownKeys } from './known-keys.ts'
import { Receiver } from './receiver.ts'
import { RegisteredConnection, type RegistrationHooks } from './registered-connection.ts'
import { isSealed, open, seal } from './sealed.ts'
import { type AnswerHooks, SignalingAnswers } from './signaling-answers.ts'
import type {
  Confirmation,
  IncomingMessage,
  PeerKey,
  RecordedMessage,
  ServerQuestion,
  SignalingClient,
  SignalingEvents,
  SignalingOptions
} from './signaling-api.ts'

/** Refusals of `register` that another attempt would get again. */
const FINAL_REFUSALS = ['INVALID_MESSAGE', 'INVALID_PUBLIC_KEY', 'INVALID_PROOF', 'CHALLENGE_REQUIRED']

/** The server does not announce when a peer comes back with another key, so keys are cached no longer than this. */
const KEY_LIFETIME_MS = 60_000
const MAX_CACHED_KEYS = 1_000

export function createSignalingClient(options: SignalingOptions): SignalingClient {
  return new Client(options)
}

type Make = () => Promise<unknown>

/** A body that is being made, or was. */
interface Made {
  readonly make: Make
  readonly body: Promise<unknown>
  /** Connections that had been lost by then. */
  readonly losses: number
}

const makerOf = (body: unknown): Make => (typeof body === 'function' ? (body as Make) : async () => body)

class Client implements SignalingClient {
  readonly protocol = 'signaling'
  readonly clientId: string
  readonly identity: Identity
  readonly events = createEmitter<SignalingEvents>()
  readonly #timeoutMs: number
  readonly #connection: RegisteredConnection
  readonly #answers: SignalingAnswers
  readonly #gate = new ConnectionGate()
  readonly #keys = new FetchCache<PeerKey>(KEY_LIFETIME_MS, MAX_CACHED_KEYS)
  readonly #outgoing = new KeyedQueue()
  readonly #confirming = new KeyedQueue()
  readonly #incoming: Receiver<IncomingMessage>
  readonly #acknowledges: boolean
  readonly #knownKeys: KnownKeys
  readonly #challenges: Challenges
  #proof: ReturnType<Identity['proofOf']> | undefined
  #sent = 0
  /** Connections that were lost. */
  #losses = 0

  constructor(options: SignalingOptions) {
    this.clientId = options.clientId
    this.identity = options.identity
    this.#timeoutMs = options.requestTimeoutMs ?? 10_000
    this.#acknowledges = options.onMessage !== undefined
    this.#challenges = new Challenges(options)
    this.#knownKeys = new KnownKeys(options.clientId, options.knownKeys)
    this.#incoming = this.#receiver(options.onMessage)
    this.#answers = new SignalingAnswers(this.#timeoutMs, this.#answerHooks())
    this.#connection = new RegisteredConnection(options, this.#registrationHooks())
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

  discover({ signal }: RequestOptions = {}): Promise<string[]> {
    return unlessAborted(signal, async () => {
      const { peers } = await this.#request({ type: 'discover', payload: {} }, 'discover')
      return onlyStrings(peers)
    })
  }

  async requestPublicKey(peerId: string, options: RequestOptions = {}): Promise<Uint8Array> {
    return (await this.requestPeerKey(peerId, options)).publicKey
  }

  requestPeerKey(peerId: string, { signal }: RequestOptions = {}): Promise<PeerKey> {
    return unlessAborted(signal, () => this.#keys.get(peerId, () => this.#fetchKey(peerId)))
  }

  send(peerId: string, text: string, { signal }: RequestOptions = {}): Promise<string> {
    return this.#sendMessage(peerId, () => this.#seal(peerId, text), signal)
  }

  sendSealed(peerId: string, body: unknown, { signal }: RequestOptions = {}): Promise<string> {
    return this.#sendMessage(peerId, makerOf(body), signal)
  }

  sendConfirmed(peerId: string, text: string, { signal }: RequestOptions = {}): Promise<Confirmation> {
    return this.#confirm(peerId, () => this.#seal(peerId, text), signal)
  }

  sendSealedConfirmed(peerId: string, body: unknown, { signal }: RequestOptions = {}): Promise<Confirmation> {
    return this.#confirm(peerId, makerOf(body), signal)
  }

  requestRecords({ from, to, digest }: RecordedMessage, { signal }: RequestOptions = {}): Promise<string[]> {
    return unlessAborted(signal, async () => {
      const payload = { fromId: from, targetId: to, digest }
      const { records } = await this.#request({ type: 'request_record', payload }, 'record_response')
      return onlyStrings(records)
    })
  }

  respond(questionId: string, response: unknown, { signal }: RequestOptions = {}): Promise<void> {
    return unlessAborted(signal, async () => {
      await this.#gate.pass(this.#timeoutMs)
      signal?.throwIfAborted()
      this.#sendUnanswered({ type: 'peer_response', payload: { questionId, response } })
    })
  }

  debugQuestion({ signal }: RequestOptions = {}): Promise<ServerQuestion> {
    return unlessAborted(signal, async () =>
      readQuestion(await this.#request({ type: 'debug_question', payload: {} }, 'server_question'))
    )
  }

  async close(): Promise<void> {
    await this.#connection.end(localError('CLOSED', 'the client was closed'))
    if (!this.#acknowledges) await this.#incoming.idle()
  }

  async #seal(peerId: string, text: string): Promise<unknown> {
    return seal(text, await this.requestPublicKey(peerId))
  }

  #sendMessage(targetId: string, make: Make, signal: AbortSignal | undefined): Promise<string> {
    return this.#inOrder(targetId, make, signal, async (made) => {
      const message = await this.#onConnection(made, signal)
      return this.#sendUnanswered({ type: 'message', payload: { targetId, message } }, targetId)
    })
  }

  /** One message at a time, so that a refusal fits one. The request behind it shows that the server has dealt with it. */
  #confirm(targetId: string, make: Make, signal: AbortSignal | undefined): Promise<Confirmation> {
    return this.#inOrder(targetId, make, signal, (made) =>
      this.#confirming.run('', Promise.resolve(), async () => {
        const message = await this.#onConnection(made, signal)
        this.#connection.send({ type: 'message', payload: { targetId, message } })
        const messageId = `m${++this.#sent}`
        const status = await this.#answers.confirmed(messageId, targetId, () => this.#roundTrip())
        return { messageId, status, digest: await digestOf(JSON.stringify(message)) }
      })
    )
  }

  /** Begins to make the body at once, and acts in the order of the calls for one peer. */
  #inOrder<T>(
    peerId: string,
    make: Make,
    signal: AbortSignal | undefined,
    act: (made: Made) => Promise<T>
  ): Promise<T> {
    return unlessAborted(signal, () => {
      const made = this.#make(make)
      return this.#outgoing.run(peerId, made.body, () => act(made))
    })
  }

  #make(make: Make): Made {
    return { make, body: make(), losses: this.#losses }
  }

  /**
   * The body, once there is a connection to send it on. What was made before a connection was lost is made anew: the peer
   * may have come back with another key meanwhile.
   */
  async #onConnection(made: Made, signal: AbortSignal | undefined): Promise<unknown> {
    for (let latest = made; ; latest = this.#make(made.make)) {
      const body = await latest.body
      await this.#gate.pass(this.#timeoutMs)
      signal?.throwIfAborted()
      if (latest.losses === this.#losses) return body
    }
  }

  #sendUnanswered(frame: Frame, targetId?: string): string {
    this.#connection.send(frame)
    const messageId = `m${++this.#sent}`
    this.#answers.sent(messageId, targetId)
    return messageId
  }

  async #fetchKey(peerId: string): Promise<PeerKey> {
    const frame = { type: 'request_public_key', payload: { targetId: peerId } }
    const { publicKey, ownerChangedAt } = await this.#request(frame, 'public_key_response', peerId)
    if (!Array.isArray(publicKey)) throw localError('INVALID_ANSWER', `the key of ${peerId} is not an array of bytes`)
    const key = Uint8Array.from(publicKey)
    const owner = typeof ownerChangedAt === 'number' ? { ownerChangedAt } : {}
    const change = await this.#knownKeys.notice(peerId, key)
    if (change) this.events.emit('keyChanged', { ...change, ...owner })
    return { publicKey: key, ...owner }
  }

  async #request(frame: Frame, answer: string, peerId?: string): Promise<Frame['payload']> {
    await this.#gate.pass(this.#timeoutMs)
    this.#connection.send(frame)
    return this.#answers.request(answer, peerId)
  }

  async #register(): Promise<void> {
    const { publicKey } = this.identity
    const fresh = await this.#challenges.answer((frame) => {
      this.#connection.send(frame)
      return this.#answers.request('challenge')
    })
    if (fresh === undefined) this.#proof ??= this.identity.proofOf(publicKey)
    const verification = fresh ?? (await this.#proof)
    // The field alone tells the relay that replies and notifications may come in any order.
    const features = [...(this.#acknowledges ? ['ack'] : []), ...(fresh ? ['challenge'] : [])]
    const payload = { clientId: this.clientId, publicKey: [...publicKey], verification, features }
    this.#connection.send({ type: 'register', payload })
    await this.#answers.request('register')
  }

  #receive(value: unknown, frameText: string): void {
    const frame = readFrame(value)
    if (!frame) {
      this.events.emit('error', { error: new Error('Received a frame without type or payload') })
      return
    }
    this.events.emit('frame', frame)
    const { type, payload } = frame
    if (type === 'message') this.#receiveMessage(payload, frameText)
    else if (type === 'peer_disconnected') {
      this.#keys.forget(String(payload.peerId))
      this.events.emit('peerDisconnected', { peerId: String(payload.peerId) })
    } else {
      this.#answers.take(frame)
      if (type === 'server_question') this.events.emit('serverQuestion', readQuestion(payload))
    }
  }

  /** Opening takes time that depends on the size; messages are emitted in the order in which they came. */
  #receiveMessage({ fromId, message: sealed, timestamp, seq }: Frame['payload'], frameText: string): void {
    const from = String(fromId)
    const queuedAt = typeof timestamp === 'number' && { queuedAt: timestamp }
    const message = digestOf(bodyText(sealed, frameText)).then((digest) => {
      const base = { from, sealed, digest, ...queuedAt }
      return open(sealed, this.identity.secretKey).then(
        (text) => ({ ...base, text }),
        (error: Error) => ({ ...base, error })
      )
    })
    const place = typeof seq === 'number' ? seq : undefined
    this.#incoming.arrived({ seq: place, name: nameOf(from, sealed, place), message })
  }

  #receiver(onMessage: SignalingOptions['onMessage']): Receiver<IncomingMessage> {
    return new Receiver({
      handle: async (message) => {
        await onMessage?.(message)
        this.events.emit('message', message)
      },
      acknowledge: (seq) => {
        if (this.state === 'open') this.#connection.send({ type: 'ack', payload: { seq } })
      },
      onError: (error) => this.events.emit('error', { error })
    })
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
      onFrame: (value, text) => this.#receive(value, text),
      onError: (error) => this.events.emit('error', { error }),
      onDisconnected: (how) => this.events.emit('disconnected', how),
      onReconnecting: (attempt) => this.events.emit('reconnecting', attempt)
    }
  }

  #abandonPending(reason: RelayError): void {
    this.#losses += 1
    this.#incoming.dropped()
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
      onAmbiguousError: () => {
        this.#roundTrip().catch(() => {}) // the requests that the error may belong to have their own deadlines
      }
    }
  }

  /**
   * Makes a request that is not refused, of a type that is not pending, so that its answer cannot be mistaken for
   * another one.
   */
  #roundTrip(): Promise<unknown> {
    if (this.#answers.expects('public_key_response')) return this.discover()
    const frame = { type: 'request_public_key', payload: { targetId: this.clientId } }
    return this.#request(frame, 'public_key_response', this.clientId)
  }
}

/**
 * The body as its sender wrote it, which parsing and writing anew may change: a server of this protocol puts it first in the
 * payload, and `fromId` behind it (docs/protocol.md, 2.10).
 */
const bodyText = (body: unknown, frameText: string): string =>
  /^{"type":"message","payload":{"message":(.*),"fromId":/s.exec(frameText)?.[1] ?? JSON.stringify(body)

/** The same for each copy of a message: a sealed body is made once, of random bytes. */
function nameOf(from: string, body: unknown, seq: number | undefined): string | undefined {
  if (isSealed(body))
    return `${from} ${body.serializedEncryptedData.slice(0, 64)} ${body.serializedCipherText.slice(-64)}`
  return seq === undefined ? undefined : `${seq} ${from} ${JSON.stringify(body).slice(-64)}`
}

function readQuestion({ questionId, question }: Frame['payload']): ServerQuestion {
  return { questionId: String(questionId), question }
}
