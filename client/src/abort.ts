// Requests that their caller may give up.

/** Every request of a client takes it as its last argument. */
export interface RequestOptions {
  /** Aborted: the request rejects with the signal's reason at once, and what has not been sent yet is never sent. */
  signal?: AbortSignal | undefined
}

/**
 * What `start` resolves with, or a rejection with the reason of the signal as soon as it is aborted; `onAbort` is
 * called then.
 */
export async function unlessAborted<T>(
  signal: AbortSignal | undefined,
  start: () => Promise<T>,
  onAbort?: () => void
): Promise<T> {
  if (!signal) return start()
  signal.throwIfAborted()
  const work = start()
  let stop = () => {}
  const aborted = new Promise<never>((_, reject) => {
    stop = () => {
      reject(signal.reason)
      onAbort?.()
    }
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
    work.catch(() => {}) // nobody waits for it any more once the signal is aborted
  }
}
