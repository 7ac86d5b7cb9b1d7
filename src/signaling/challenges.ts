import { createHash, randomBytes } from 'node:crypto'
import type { PayloadOf } from '../protocol/frame.ts'
import type { RegisterFrame } from '../protocol/signaling.ts'

type Register = PayloadOf<typeof RegisterFrame>

/** How long a challenge may be answered, in seconds. */
export const CHALLENGE_SECONDS = 60
const NONCE_BYTES = 32
/** The names of this machine for itself, as they stand in the URL of a client. */
const LOOPBACK_HOSTS = ['localhost', '127.0.0.1', '[::1]']

interface Challenge {
  /** Where the client says it is connected to. */
  readonly origin: string
  readonly nonce: string
  /** ms since 1970; only the client's signature depends on it. */
  readonly time: number
  /** By the clock of the challenges, in ms. */
  readonly issuedAt: number
}

/** A socket that asks for one: what is known of our end of it. */
interface Asking {
  readonly listener: { readonly port: number | undefined; readonly isLoopback: boolean; readonly isEncrypted: boolean }
}

export interface ChallengeOptions {
  /** The origins by which clients reach this server; undefined: none but those of loopback. */
  readonly publicOrigins: ReadonlySet<string> | undefined
  /** Milliseconds, of a clock that never goes back. */
  readonly clock: () => number
}

/** The challenges that sockets were given and have not answered: one for each socket, and one answer for each. */
export class Challenges {
  readonly #options: ChallengeOptions
  readonly #open = new WeakMap<Asking, Challenge>()

  constructor(options: ChallengeOptions) {
    this.#options = options
  }

  /**
   * Undefined where this server is not known by that origin. Otherwise a client that was lured to another address would
   * answer a challenge that was fetched here.
   */
  issue(session: Asking, origin: string): Challenge | undefined {
    if (!this.#isOurs(session, origin)) return undefined
    const nonce = randomBytes(NONCE_BYTES).toString('hex')
    const challenge = { origin, nonce, time: Date.now(), issuedAt: this.#options.clock() }
    this.#open.set(session, challenge)
    return challenge
  }

  /** The challenge of this socket, which is used up by that; undefined: there is none, or it is too old. */
  take(session: Asking): Challenge | undefined {
    const challenge = this.#open.get(session)
    this.#open.delete(session)
    if (challenge === undefined) return undefined
    return this.#options.clock() - challenge.issuedAt <= CHALLENGE_SECONDS * 1_000 ? challenge : undefined
  }

  #isOurs({ listener }: Asking, origin: string): boolean {
    const { publicOrigins } = this.#options
    if (publicOrigins !== undefined) return publicOrigins.has(origin)
    if (!listener.isLoopback) return false
    const scheme = listener.isEncrypted ? 'wss' : 'ws'
    return LOOPBACK_HOSTS.some((host) => new URL(`${scheme}://${host}:${listener.port}`).origin === origin)
  }
}

/** What the answer to a challenge signs, as UTF-8. The id is last, for it may hold anything. */
export function challengeText({ origin, nonce, time }: Challenge, { clientId, publicKey }: Register): Uint8Array {
  const keyDigest = createHash('sha256').update(Uint8Array.from(publicKey)).digest('hex')
  return Buffer.from(['demos-relay:register', origin, nonce, time, keyDigest, clientId].join('\n'))
}
