// Finds the request or message that an answer belongs to. Signaling frames carry no request id, so their order decides.
import { type Deferred, deferred } from './async.ts'
import { type Frame, localError, RelayError } from './frame.ts'

/** Past this many, the oldest sent messages are assumed to have been delivered live. */
const MAX_UNSETTLED_MESSAGES = 1_000
/** Past this many, the oldest requests that timed out and are still unanswered are forgotten. */
const MAX_TIMED_OUT = 1_000

interface PendingRequest {
  readonly answer: string
  readonly peerId: string | undefined
  readonly done: Deferred<Frame['payload']>
  /** Its answer may still come and must not be taken for the answer to a later request. */
  hasTimedOut: boolean
}

/** A `message` (or `peer_response`). The server answers with `message_queued`, with `error`, or not at all. */
interface SentMessage {
  readonly messageId: string
  readonly targetId: string | undefined
  readonly sentAt: number
  /** Set when somebody waits to hear what became of it. */
  readonly outcome: Deferred<Outcome> | undefined
}

/** What the server did with a message: sent it to its connected recipient, or kept it. */
export type Outcome = 'sent' | 'queued'

export interface AnswerHooks {
  /** The server keeps a message for its recipient. `messageId` is absent when no message that we know of fits. */
  onQueued(event: { targetId: string; messageId?: string; details?: string }): void
  /** The server refused a message, or a request that has timed out. `message`: set when only one message fits. */
  onError(error: RelayError, message?: { messageId: string; targetId: string | undefined }): void
  /** An error may be about a message or about a request: make a round trip, whose answer decides. */
  onAmbiguousError(): void
}

/**
 * Matches answers to requests by one rule: **the server answers one socket in order, exactly once for each request,
 * and at most once for each message.** So
 *
 * - an answer belongs to the oldest request that expects its type (and its `peerId`); every message sent before that
 *   request has then been dealt with;
 * - an `error` belongs to the oldest request, if no message was sent before it;
 * - if a message was, the error is held until the next answer: the requests before that answer that have none are the
 *   refused ones, and errors left over were about messages. `onAmbiguousError` asks for such an answer.
 *
 * Limits. `message_queued` names only the recipient: with several unsettled messages to one recipient it is counted
 * for the oldest, which is wrong if the recipient left in between; any answered request settles all messages before
 * it. An error about one of several unsettled messages is reported without saying which. A server that answers out
 * of order still matches by type and peer, but then errors may hit the wrong request.
 */
export class SignalingAnswers {
  readonly #hooks: AnswerHooks
  readonly #timeoutMs: number
  #entries: (PendingRequest | SentMessage)[] = []
  #held: RelayError[] = []
  readonly #timers = new Set<ReturnType<typeof setTimeout>>()

  constructor(timeoutMs: number, hooks: AnswerHooks) {
    this.#timeoutMs = timeoutMs
    this.#hooks = hooks
  }

  /** Notes a request at the moment it is handed to the socket. Rejects with a RelayError: refused, or TIMEOUT. */
  async request(answer: string, peerId?: string): Promise<Frame['payload']> {
    const entry: PendingRequest = { answer, peerId, done: deferred(), hasTimedOut: false }
    this.#entries.push(entry)
    const timer = setTimeout(() => this.#timeOut(entry), this.#timeoutMs)
    this.#timers.add(timer)
    try {
      return await entry.done.promise
    } finally {
      clearTimeout(timer)
      this.#timers.delete(timer)
    }
  }

  /** Notes a message at the moment it is handed to the socket. */
  sent(messageId: string, targetId?: string, outcome?: Deferred<Outcome>): void {
    const now = Date.now()
    const isLive = (entry: PendingRequest | SentMessage) => isSent(entry) && entry.sentAt + this.#timeoutMs < now
    while (this.#entries[0] && isLive(this.#entries[0])) this.#entries.shift()
    this.#entries.push({ messageId, targetId, sentAt: now, outcome })
    this.#limit(isSent, MAX_UNSETTLED_MESSAGES)
  }

  /**
   * Notes a message of which `act` is called to make a request behind it: the answer to that request says that the
   * server has dealt with the message. Rejects with the refusal, with the failure of the request, or with UNCONFIRMED
   * when a refusal fits this message and others alike.
   */
  async confirmed(messageId: string, targetId: string, act: () => Promise<unknown>): Promise<Outcome> {
    const outcome = deferred<Outcome>()
    this.sent(messageId, targetId, outcome)
    act().catch((cause) => outcome.reject(cause))
    return outcome.promise
  }

  /** Whether a request that expects this type of answer is waiting. */
  expects(answer: string): boolean {
    return this.#entries.some((entry) => isRequest(entry) && entry.answer === answer)
  }

  /** Takes an answer. A frame that matches nothing is dropped, unless it is an `error` or a `message_queued`. */
  take(frame: Frame): void {
    if (frame.type === 'error') this.#takeError(frame.payload)
    else if (frame.type === 'message_queued') this.#takeQueued(frame.payload)
    else this.#takeAnswer(frame)
  }

  /** The connection is gone: every waiting request is rejected. */
  abandon(reason: RelayError): void {
    const entries = this.#entries
    this.#entries = []
    this.#held = []
    for (const entry of entries) (isRequest(entry) ? entry.done : entry.outcome)?.reject(reason)
  }

  #takeAnswer(frame: Frame): void {
    const index = this.#entries.findIndex((entry) => isRequest(entry) && fits(entry, frame))
    if (index === -1) return
    const request = this.#entries[index] as PendingRequest
    if (index > 0 || this.#held.length > 0) this.#settleBefore(index)
    this.#entries.splice(this.#entries.indexOf(request), 1)
    request.done.resolve(frame.payload)
  }

  #takeError(payload: Frame['payload']): void {
    const error = new RelayError(String(payload.errorType ?? 'UNKNOWN'), String(payload.details ?? 'no details'))
    const first = this.#entries[0]
    const isAmbiguous =
      this.#held.length > 0 || (first && isSent(first) && this.#entries.some((entry) => isRequest(entry)))
    if (isAmbiguous) {
      this.#held.push(error)
      if (this.#held.length === 1) this.#hooks.onAmbiguousError()
    } else if (first && isRequest(first)) {
      this.#entries.shift()
      if (first.hasTimedOut) this.#hooks.onError(error)
      else first.done.reject(error)
    } else {
      this.#reportRefusedMessage(error, this.#entries.filter(isSent))
    }
  }

  #takeQueued({ targetId, message }: Frame['payload']): void {
    const index = this.#entries.findIndex((entry) => isSent(entry) && entry.targetId === targetId)
    const [entry] = index === -1 ? [] : this.#entries.splice(index, 1)
    if (entry && isSent(entry)) entry.outcome?.resolve('queued')
    // Messages sent before this one were delivered live, unless an error that is still held was about one of them.
    if (this.#held.length === 0) {
      for (const other of this.#entries.slice(0, Math.max(0, index))) if (isSent(other)) other.outcome?.resolve('sent')
      this.#entries = this.#entries.filter((other, i) => i >= index || isRequest(other))
    }
    this.#hooks.onQueued({
      targetId: String(targetId),
      ...(entry && isSent(entry) && { messageId: entry.messageId }),
      ...(typeof message === 'string' && { details: message })
    })
  }

  /** The entry at `index` was answered, so everything before it was answered too or needs no answer. */
  #settleBefore(index: number): void {
    const before = this.#entries.slice(0, index)
    const requests = before.filter(isRequest)
    const refused = requests.slice(0, this.#held.length)
    const errors = this.#held.splice(0)
    const aboutMessages = errors.splice(0, errors.length - refused.length)
    for (const [i, error] of errors.entries()) refused[i]!.done.reject(error)
    // A request without an answer was overtaken, because the server does not keep the order. It goes on waiting.
    this.#entries = [...requests.slice(refused.length), ...this.#entries.slice(index)]
    const messages = before.filter(isSent)
    for (const error of aboutMessages) this.#reportRefusedMessage(error, messages)
    for (const { outcome } of messages) outcome?.resolve('sent') // without effect on one that was refused
  }

  #reportRefusedMessage(error: RelayError, candidates: SentMessage[]): void {
    const [only, ...others] = candidates
    if (!only || others.length > 0) {
      const unclear = localError('UNCONFIRMED', `one of several messages was refused: ${error.details}`)
      for (const { outcome } of candidates) outcome?.reject(unclear)
      this.#hooks.onError(error)
      return
    }
    only.outcome?.reject(error)
    this.#entries = this.#entries.filter((entry) => entry !== only)
    this.#hooks.onError(error, { messageId: only.messageId, targetId: only.targetId })
  }

  #timeOut(entry: PendingRequest): void {
    entry.hasTimedOut = true
    entry.done.reject(localError('TIMEOUT', `no ${entry.answer} within ${this.#timeoutMs} ms`))
    this.#limit((candidate) => isRequest(candidate) && candidate.hasTimedOut, MAX_TIMED_OUT)
  }

  /** Forgets the oldest entries that `counts` accepts, past `maximum`. Scans only once the list is twice as long. */
  #limit(counts: (entry: PendingRequest | SentMessage) => boolean, maximum: number): void {
    if (this.#entries.length < 2 * maximum) return
    let excess = this.#entries.filter(counts).length - maximum
    this.#entries = this.#entries.filter((entry) => !(counts(entry) && excess-- > 0))
  }
}

function isSent(entry: PendingRequest | SentMessage): entry is SentMessage {
  return 'messageId' in entry
}

function isRequest(entry: PendingRequest | SentMessage): entry is PendingRequest {
  return !isSent(entry)
}

function fits(request: PendingRequest, { type, payload }: Frame): boolean {
  return request.answer === type && (request.peerId === undefined || request.peerId === payload.peerId)
}
