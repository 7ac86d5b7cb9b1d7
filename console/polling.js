// Asks again and again: while the tab is seen, and as fast as the server likes.
import { Refusal } from './api.js'

/** Longest rest between two tries while the server does not answer, in ms. */
const MAX_REST_MS = 10_000

/** Before this time (ms since 1970) nothing is asked: a 429 is about the address, so it is about every poll. */
let pausedUntil = 0

/**
 * Calls `look` at once and then every so often, never twice at the same time; rests while the tab is hidden, after a
 * 429 as long as the server asks, and after other failures a little longer each time.
 * @param {number} everyMs
 * @param {() => Promise<void>} look
 * @param {(error: unknown) => void} onFailure
 */
export function poll(everyMs, look, onFailure) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer
  let [isRunning, isLooking, isAskedAgain, failures] = [false, false, false, 0]

  async function turn() {
    clearTimeout(timer)
    if (isLooking) {
      isAskedAgain = true
      return
    }
    const pause = pausedUntil - Date.now()
    if (pause > 0) {
      timer = setTimeout(turn, pause)
      return
    }
    isLooking = true
    let rest = everyMs
    try {
      await look()
      failures = 0
    } catch (error) {
      failures++
      rest = Math.min(everyMs * failures, MAX_REST_MS)
      if (error instanceof Refusal && error.status === 429) pausedUntil = error.at + error.retryAfterSeconds * 1_000
      if (isRunning) onFailure(error)
    }
    isLooking = false
    if (!isRunning || document.hidden) return
    timer = setTimeout(turn, isAskedAgain ? 0 : rest)
    isAskedAgain = false
  }

  document.addEventListener('visibilitychange', () => {
    if (document.hidden) clearTimeout(timer)
    else if (isRunning) turn()
  })
  return {
    start() {
      isRunning = true
      turn()
    },
    stop() {
      isRunning = false
      clearTimeout(timer)
    },
    /** Looks now: something has changed. */
    refresh() {
      if (isRunning) turn()
    }
  }
}
