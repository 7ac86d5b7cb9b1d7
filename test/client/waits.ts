// Waits on the events of clients under test.
import type { Events } from '../../client/src/events.ts'

export const next = <M, K extends keyof M>(events: Events<M>, type: K): Promise<M[K]> =>
  new Promise((resolve) => events.once(type, resolve))

/** The next `count` events of a type. */
export function collect<M, K extends keyof M>(events: Events<M>, type: K, count: number): Promise<M[K][]> {
  const found: M[K][] = []
  return new Promise((resolve) => {
    const stop = events.on(type, (event) => {
      found.push(event)
      if (found.length < count) return
      stop()
      resolve(found)
    })
  })
}
