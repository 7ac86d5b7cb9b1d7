import { Bucket } from './bucket.ts'
import { PRICES, RENDERINGS } from './prices.ts'

/**
 * Reads the metrics anew, unless that is under way, or was done more often than the budget of all readings allows: then
 * whoever asks shares the last one.
 */
export function sharedReading(read: () => Promise<string>, now = () => performance.now()): () => Promise<string> {
  const { perSecond, atOnce } = RENDERINGS
  const budget = new Bucket(perSecond, atOnce, now())
  let isReading = false
  let last: Promise<string> | undefined
  return () => {
    const time = now()
    if (last !== undefined && (isReading || !budget.has(time))) return last
    budget.spend(PRICES.rendering, time)
    isReading = true
    last = read().finally(() => {
      isReading = false
    })
    return last
  }
}
