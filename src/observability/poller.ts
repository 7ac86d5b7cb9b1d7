/** What a look in the background found. */
export interface Watch<T> {
  /** What the last look found; undefined before the first. Never a query. */
  latest(): T | undefined
  close(): void
}

export interface WatchOptions {
  /** Rest between two looks, ms. */
  readonly restMs: number
  readonly log: { warn(facts: object, message: string): void }
  /** What the log says of a look that failed. */
  readonly complaint: string
}

/** A look may cost the database much, so it may take at most this share of the time. */
const SHARE = 1 / 20

/** Looks again and again in the background: so that whoever wants figures, however often, costs no query. */
export function watchInBackground<T>(look: () => Promise<T>, { restMs, log, complaint }: WatchOptions): Watch<T> {
  let latest: T | undefined
  let isClosed = false
  let timer: NodeJS.Timeout | undefined
  const lookNow = async () => {
    const startedAt = performance.now()
    try {
      latest = await look()
    } catch (error) {
      if (!isClosed) log.warn({ err: error }, complaint)
    }
    const tookMs = performance.now() - startedAt
    if (!isClosed) timer = setTimeout(lookNow, Math.max(restMs, tookMs / SHARE)).unref()
  }
  void lookNow()
  return {
    latest: () => latest,
    close: () => {
      isClosed = true
      clearTimeout(timer)
    }
  }
}
