// How tests wait: for something to become so, or for an event with a deadline. A test never sleeps for a guessed time.
import { setTimeout as delay } from 'node:timers/promises'

/** Longest a test waits for something, unless it says otherwise: a machine with other work to do is slow. */
const PATIENCE_MS = 30_000
const LOOK_EVERY_MS = 10

/** What was found, where `look` gives more than a yes or no. */
type Found<T> = Exclude<T, boolean | undefined | null>

/** Looks again and again until it finds something; returns that, or fails with the words of what it waited for. */
export async function until<T>(
  what: string | (() => string),
  look: () => T | Promise<T>,
  patienceMs = PATIENCE_MS
): Promise<Found<T>> {
  const deadline = performance.now() + patienceMs
  for (;;) {
    const found = await look()
    if (found !== false && found !== undefined && found !== null) return found as Found<T>
    if (performance.now() > deadline) throw new Error(`not within ${patienceMs} ms: ${wordsOf(what)}`)
    await delay(LOOK_EVERY_MS)
  }
}

/** What `start` resolves with, or a failure with the words of `complaint` after so many ms. */
export function within<T>(
  ms: number,
  complaint: string | (() => string),
  start: (resolve: (value: T) => void, reject: (cause: Error) => void) => void
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(wordsOf(complaint))), Math.max(0, ms))
    const settle =
      <A>(done: (value: A) => void) =>
      (value: A) => {
        clearTimeout(timer)
        done(value)
      }
    start(settle(resolve), settle(reject))
  })
}

const wordsOf = (what: string | (() => string)) => (typeof what === 'string' ? what : what())
