import type { TestContext } from 'node:test'

/**
 * Time that the test moves: `performance.now()`, `setTimeout` and `setInterval` (not those of node:timers/promises).
 * What then runs at once, by `setImmediate`, has run when `advance` resolves.
 */
export function stopTime(t: TestContext): {
  advance(ms: number): Promise<void>
  /** The clock goes on, but no timer fires: the process stands still. */
  stall(ms: number): void
} {
  const { setImmediate } = globalThis
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  let now = 1_000
  t.mock.method(performance, 'now', () => now)
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
  return {
    async advance(ms) {
      now += ms
      t.mock.timers.tick(ms)
      await turn()
      await turn()
    },
    stall(ms) {
      now += ms
    }
  }
}
