import { type Certificate, type CertificateFiles, certificateOf, readPair } from './certificate.ts'

/** Rest between two looks, in ms. Watching the files instead misses atomic renames and mounted secrets. */
const REST_MS = 2_000

export interface CertificateWatchHooks {
  /** The files hold another certificate, and it is fit to serve. */
  renewed(certificate: Certificate): void
  /** For the second look in a row the files hold nothing fit to serve; told once, until they do. */
  broken(reason: Error): void
}

/** Looks for a new certificate in the files until it is stopped. A broken pair is never handed on. */
export class CertificateWatch {
  readonly #files: CertificateFiles
  readonly #hooks: CertificateWatchHooks
  #served: string
  #brokenLooks = 0
  #timer: NodeJS.Timeout | undefined
  #isStopped = false

  /** `served`: what was read from the files before. */
  constructor(files: CertificateFiles, { context }: Certificate, hooks: CertificateWatchHooks) {
    this.#files = files
    this.#hooks = hooks
    this.#served = `${context.cert}${context.key}`
    this.#rest()
  }

  async look(): Promise<void> {
    try {
      const [cert, key] = await readPair(this.#files)
      if (cert + key !== this.#served) {
        const certificate = certificateOf(cert, key)
        this.#hooks.renewed(certificate)
        this.#served = cert + key
      }
      this.#brokenLooks = 0
    } catch (error) {
      this.#brokenLooks += 1 // the first time it may be a renewal that is half written
      if (this.#brokenLooks === 2) this.#hooks.broken(error as Error)
    }
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
  }

  #rest(): void {
    if (this.#isStopped) return
    this.#timer = setTimeout(() => this.look().finally(() => this.#rest()), REST_MS).unref()
  }
}
