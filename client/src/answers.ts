// Which answer belongs to what we sent. The signaling protocol numbers nothing, so the order has to tell.
import { type Deferred, deferred } from './deferred.ts'
import type { Frame } from './frame.ts'
import { localError, RelayError } from './relay-error.ts'

/** Past this many, the oldest sent messages are taken to have been delivered live. */
const MAX_UNSETTLED_MESSAGES = 1_000
/** Past this many, the oldest unanswered requests that nobody waits for any more are forgotten. */
const MAX_GIVEN_UP = 1_000

interface Request {
  readonly answer: string
  readonly peerId: string | undefined
  readonly done: Deferred<Frame['payload']>
  /** Its time is over, but its answer may still come and must not be taken for that of a later request. */
  givenUp: boolean
}

/** A `message` (or `peer_response`): answered by nothing, by `message_queued`, or by `error`. */
interface Sent {
  readonly messageId: string
  readonly targetId: string | undefined
  readonly sentAt: number
}

export interface AnswerHooks {
  /** A message waits for its recipient. `messageId` is absent when none that we know of fits. */
  onQueued(event: { targetId: string; messageId?: string; details?: string }): void
  /** The server refused a message, or something nobody waits for. `messageId`: when it can only be that one. */
  onError(error: RelayError, message?: { messageId: string; targetId: string | undefined }): void
  /** An error could be about a message or about a request: make a round trip, whose answer will tell. */
  onDoubt(): void
}

/**
 * Matches answers to requests by one rule: **the server answers one socket in order, exactly once for each request,
 * and at most once for each message.** So
 *
 * - an answer belongs to the oldest request that expects its type (and its `peerId`); every message sent before that
 *   request has then been dealt with;
 * - an `error` belongs to the oldest request, if no message was sent before it;
 * - if messages were, the error is held until the next answer: the requests before that answer which have had none
 *   are the ones refused, and what is left over was about messages. `onDoubt` asks for such an answer.
 *
 * Limits. `message_queued` names only the recipient: with several unsettled messages to one recipient it is counted
 * for the oldest, which is wrong if the recipient left in between; any answered request settles all messages before
 * it. An error about one of several unsettled messages is reported without saying which. A server that answers out
 * of order still matches by type and peer, but then errors may hit the wrong request.
 */
export class Answers {
  readonly #hooks: AnswerHooks
  readonly #timeoutMs: number
  #entries: (Request | Sent)[] = []
  #held: RelayError[] = []
  readonly #timers = new Set<ReturnType<typeof setTimeout>>()

  constructor(timeoutMs: number, hooks: AnswerHooks) {
    this.#timeoutMs = timeoutMs
    this.#hooks = hooks
  }

  /** Notes a request at the moment it is handed to the socket. Rejects with a RelayError: refused, or TIMEOUT. */
  async request(answer: string, peerId?: string): Promise<Frame['payload']> {
    const entry: Request = { answer, peerId, done: deferred(), givenUp: false }
    this.#entries.push(entry)
    const timer = setTimeout(() => this.#giveUp(entry), this.#timeoutMs)
    this.#timers.add(timer)
    try {
      return await entry.done.promise
    } finally {
      clearTimeout(timer)
      this.#timers.delete(timer)
    }
  }

  /** Notes a message at the moment it is handed to the socket. */
  sent(messageId: string, targetId?: string): void {
    const now = Date.now()
    const isLive = (entry: Request | Sent) => isSent(entry) && entry.sentAt + this.#timeoutMs < now
    while (this.#entries[0] && isLive(this.#entries[0])) this.#entries.shift()
    this.#entries.push({ messageId, targetId, sentAt: now })
    this.#limit(isSent, MAX_UNSETTLED_MESSAGES)
  }

  /** Whether a request that expects this type of answer is waiting. */
  expects(answer: string): boolean {
    return this.#entries.some((entry) => isRequest(entry) && entry.answer === answer)
  }

  /** Takes an answer. Frames that match nothing are dropped, but for errors and `message_queued`. */
  take(frame: Frame): void {
    if (frame.type === 'error') this.#takeError(frame.payload)
    else if (frame.type === 'message_queued') this.#takeQueued(frame.payload)
    else this.#takeAnswer(frame)
  }

  /** The connection is gone: everything that waits is told so. */
  abandon(reason: RelayError): void {
    const entries = this.#entries
    this.#entries = []
    this.#held = []
    for (const entry of entries) if (isRequest(entry)) entry.done.reject(reason)
  }

  #takeAnswer(frame: Frame): void {
    const index = this.#entries.findIndex((entry) => isRequest(entry) && fits(entry, frame))
    if (index === -1) return
    const request = this.#entries[index] as Request
    if (index > 0 || this.#held.length > 0) this.#settleBefore(index)
    this.#entries.splice(this.#entries.indexOf(request), 1)
    request.done.resolve(frame.payload)
  }

  #takeError(payload: Frame['payload']): void {
    const error = new RelayError(String(payload.errorType ?? 'UNKNOWN'), String(payload.details ?? 'no details'))
    const first = this.#entries[0]
    const isDoubtful =
      this.#held.length > 0 || (first && isSent(first) && this.#entries.some((entry) => isRequest(entry)))
    if (isDoubtful) {
      this.#held.push(error)
      if (this.#held.length === 1) this.#hooks.onDoubt()
    } else if (first && isRequest(first)) {
      this.#entries.shift()
      if (first.givenUp) this.#hooks.onError(error)
      else first.done.reject(error)
    } else {
      this.#blameMessage(error, this.#entries.filter(isSent))
    }
  }

  #takeQueued({ targetId, message }: Frame['payload']): void {
    const index = this.#entries.findIndex((entry) => isSent(entry) && entry.targetId === targetId)
    const [entry] = index === -1 ? [] : this.#entries.splice(index, 1)
    // Messages sent before this one were delivered live, unless an error that is still held was about one of them.
    if (this.#held.length === 0) this.#entries = this.#entries.filter((other, i) => i >= index || isRequest(other))
    this.#hooks.onQueued({
      targetId: String(targetId),
      ...(entry && isSent(entry) && { messageId: entry.messageId }),
      ...(typeof message === 'string' && { details: message })
    })
  }

  /** The entry at `index` was answered, so everything before it has been too, or needed nothing. */
  #settleBefore(index: number): void {
    const before = this.#entries.slice(0, index)
    const requests = before.filter(isRequest)
    const refused = requests.slice(0, this.#held.length)
    const errors = this.#held.splice(0)
    const aboutMessages = errors.splice(0, errors.length - refused.length)
    for (const [i, error] of errors.entries()) refused[i]!.done.reject(error)
    // A request still without an answer was overtaken: the server does not keep the order. It goes on waiting.
    this.#entries = [...requests.slice(refused.length), ...this.#entries.slice(index)]
    for (const error of aboutMessages) this.#blameMessage(error, before.filter(isSent))
  }

  #blameMessage(error: RelayError, candidates: Sent[]): void {
    const [only, ...others] = candidates
    if (!only || others.length > 0) {
      this.#hooks.onError(error)
      return
    }
    this.#entries = this.#entries.filter((entry) => entry !== only)
    this.#hooks.onError(error, { messageId: only.messageId, targetId: only.targetId })
  }

  #giveUp(entry: Request): void {
    entry.givenUp = true
    entry.done.reject(localError('TIMEOUT', `no ${entry.answer} within ${this.#timeoutMs} ms`))
    this.#limit((candidate) => isRequest(candidate) && candidate.givenUp, MAX_GIVEN_UP)
  }

  /** Forgets the oldest of the entries that `counts` past `maximum`; looks only now and then, which is cheaper. */
  #limit(counts: (entry: Request | Sent) => boolean, maximum: number): void {
    if (this.#entries.length < 2 * maximum) return
    let excess = this.#entries.filter(counts).length - maximum
    this.#entries = this.#entries.filter((entry) => !(counts(entry) && excess-- > 0))
  }
}

function isSent(entry: Request | Sent): entry is Sent {
  return 'messageId' in entry
}

function isRequest(entry: Request | Sent): entry is Request {
  return !isSent(entry)
}

function fits(request: Request, { type, payload }: Frame): boolean {
  return request.answer === type && (request.peerId === undefined || request.peerId === payload.peerId)
}
