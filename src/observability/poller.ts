/** Asks the same question again and again in the background, and keeps the last answer. */
export interface Poller<T> {
  /** The last answer; undefined before the first. Never a query. */
  latest(): T | undefined
  close(): void
}

export interface PollerOptions {
  /** Rest between two polls, ms. */
  readonly restMs: number
  readonly log: { warn(facts: object, message: string): void }
  /** The log line of a poll that failed. */
  readonly complaint: string
}

/** A poll may cost the database much, so polling takes at most this share of the time. */
const SHARE = 1 / 20

/** Polls until `close`. However often the answer is read, it costs the database no further query. */
export function startPoller<T>(poll: () => Promise<T>, { restMs, log, complaint }: PollerOptions): Poller<T> {
  let latest: T | undefined
  let isClosed = false
  let timer: NodeJS.Timeout | undefined
  const pollNow = async () => {
    const startedAt = performance.now()
    try {
      latest = await poll()
    } catch (error) {
      if (!isClosed) log.warn({ err: error }, complaint)
    }
    const tookMs = performance.now() - startedAt
    if (!isClosed) timer = setTimeout(pollNow, Math.max(restMs, tookMs / SHARE)).unref()
  }
  void pollNow()
  return {
    latest: () => latest,
    close: () => {
      isClosed = true
      clearTimeout(timer)
    }
  }
}
