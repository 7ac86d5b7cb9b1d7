import { randomBytes } from 'node:crypto'
import { awakeTimeout } from '../util/awake-clock.ts'

const PAYLOAD_BYTES = 8

/**
 * Pings that ask whether the peer of a socket lives, and who waits for their answers (RFC 6455 §5.5.3). Frames that come
 * prove nothing: they may have waited here since before the peer went.
 */
export class Probes {
  /** By the payload, in hex. */
  readonly #waiting = new Map<string, (isAnswered: boolean) => void>()

  /** Has `ping` sent with a payload of its own; is it answered within `ms`? */
  ask(ping: (payload: Buffer) => void, ms: number): Promise<boolean> {
    const payload = randomBytes(PAYLOAD_BYTES)
    const name = payload.toString('hex')
    return new Promise((resolve) => {
      const settle = (isAnswered: boolean) => {
        cancel()
        this.#waiting.delete(name)
        resolve(isAnswered)
      }
      const cancel = awakeTimeout(ms, () => settle(false))
      this.#waiting.set(name, settle)
      ping(payload)
    })
  }

  pong(payload: Buffer): void {
    if (this.#waiting.size > 0) this.#waiting.get(payload.toString('hex'))?.(true)
  }

  /** The socket is gone: no answer comes any more. */
  stop(): void {
    for (const settle of [...this.#waiting.values()]) settle(false)
  }
}
