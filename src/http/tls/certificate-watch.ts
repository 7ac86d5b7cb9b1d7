import { type Certificate, type CertificateFiles, certificateOf, readPair } from './certificate.ts'

/** Rest between two polls, in ms. Watching the files instead misses atomic renames and mounted secrets. */
const REST_MS = 2_000

export interface CertificateWatchHooks {
  /** The files hold another certificate, and it is usable. */
  renewed(certificate: Certificate): void
  /** Called once when two polls in a row found no usable pair; again only after one was found in between. */
  broken(reason: Error): void
}

/** Polls the files for a new certificate until it is stopped. A broken pair is never passed on. */
export class CertificateWatch {
  readonly #files: CertificateFiles
  readonly #hooks: CertificateWatchHooks
  #served: string
  #brokenPolls = 0
  #timer: NodeJS.Timeout | undefined
  #isStopped = false

  /** The second parameter: the certificate that was read from the files before. */
  constructor(files: CertificateFiles, { context }: Certificate, hooks: CertificateWatchHooks) {
    this.#files = files
    this.#hooks = hooks
    this.#served = `${context.cert}${context.key}`
    this.#rest()
  }

  async poll(): Promise<void> {
    try {
      const [cert, key] = await readPair(this.#files)
      if (cert + key !== this.#served) {
        const certificate = certificateOf(cert, key)
        this.#hooks.renewed(certificate)
        this.#served = cert + key
      }
      this.#brokenPolls = 0
    } catch (error) {
      this.#brokenPolls += 1 // the first time it may be a renewal that is only half written
      if (this.#brokenPolls === 2) this.#hooks.broken(error as Error)
    }
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
  }

  #rest(): void {
    if (this.#isStopped) return
    this.#timer = setTimeout(() => this.poll().finally(() => this.#rest()), REST_MS).unref()
  }
}
