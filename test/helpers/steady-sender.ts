// A peer that goes on sending while something happens to the database, and what became of its messages.
import { setTimeout as delay } from 'node:timers/promises'
import type { TestServer } from './server.ts'

export interface Sent {
  queued: number
  refused: number
  /** The longest time without a yes, in ms. */
  longestMs: number
}

export const inWords = ({ queued, refused, longestMs }: Sent) =>
  `${queued} sends stored, ${refused} refused, ${(longestMs / 1_000).toFixed(1)} s at most without a yes`

/** Sends to a peer that is away every few ms; counts what is refused, and the longest time without a yes. */
export async function sendSteadily(server: TestServer) {
  const alice = await server.join('alice')
  const stats: Sent = { queued: 0, refused: 0, longestMs: 0 }
  let [isStopping, lastYes] = [false, performance.now()]
  const run = async () => {
    for (let number = 0; !isStopping; number++) {
      alice.send({ type: 'message', payload: { targetId: 'away', message: { number } }, timestamp: 1 })
      const { type } = await alice.next()
      if (type === 'message_queued') {
        stats.queued += 1
        stats.longestMs = Math.max(stats.longestMs, performance.now() - lastYes)
        lastYes = performance.now()
      } else stats.refused += 1
      await delay(20)
    }
  }
  const running = run()
  return {
    stats,
    stop: async () => {
      isStopping = true
      await running
      return stats
    }
  }
}
