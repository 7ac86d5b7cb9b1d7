// Registers with a signature that is good for one connection to one server (docs/protocol.md, 2.9).
import { digestOf } from './digest.ts'
import { type Frame, localError, RelayError } from './frame.ts'
import { type Identity, signed, type Verification } from './identity.ts'

export interface ChallengedOptions {
  url: string
  clientId: string
  identity: Identity
  challenge?: 'offered' | 'required' | 'never' | undefined
}

/** What servers say that do not know the frame, or are not known by this origin. */
const NOT_OFFERED = ['INVALID_MESSAGE', 'REGISTRATION_REQUIRED']

export class Challenges {
  readonly #options: ChallengedOptions
  /** This server has given a challenge: that it has none now is not believed. */
  #isOffered = false

  constructor(options: ChallengedOptions) {
    this.#options = options
  }

  /**
   * Asks for a challenge with `request` and signs it; undefined when the server offers none and we may register without.
   * Rejects with a RelayError.
   */
  async answer(request: (frame: Frame) => Promise<Frame['payload']>): Promise<Verification | undefined> {
    const { url, challenge = 'offered' } = this.#options
    if (challenge === 'never') return undefined
    const { origin } = new URL(url)
    try {
      const { nonce, time } = await request({ type: 'challenge', payload: { origin } })
      this.#isOffered = true
      return await this.#sign([origin, nonce, time])
    } catch (cause) {
      const isNotOffered = cause instanceof RelayError && NOT_OFFERED.includes(cause.errorType)
      if (!isNotOffered) throw cause
      if (challenge === 'required' || this.#isOffered) throw localError('CHALLENGE_REFUSED', cause.details, { cause })
      return undefined
    }
  }

  async #sign([origin, nonce, time]: unknown[]): Promise<Verification> {
    if (typeof nonce !== 'string' || !/^[0-9a-f]{64}$/.test(nonce) || !Number.isSafeInteger(time)) {
      throw localError('INVALID_ANSWER', 'the challenge is none')
    }
    const { clientId, identity } = this.#options
    const keyDigest = await digestOf(identity.publicKey)
    const text = ['demos-relay:register', origin, nonce, time, keyDigest, clientId].join('\n')
    return signed(identity, new TextEncoder().encode(text))
  }
}
