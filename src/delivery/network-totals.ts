import type { Database } from '../database/database.ts'
import { type Poller, type PollerOptions, startPoller } from '../observability/poller.ts'
import { countNetworks, type QueueSize } from '../store/mailbox-overview.ts'

/** Most messages and bytes that may wait in the mailboxes of one network together; 0: no limit. */
export interface NetworkLimits {
  readonly messages: number
  readonly bytes: number
}

export interface NetworkTotalsOptions extends Pick<PollerOptions, 'log' | 'restMs'> {
  readonly database: Pick<Database, 'sql' | 'within'>
  readonly limits: NetworkLimits
}

/** Longest a count may take, in ms. */
const COUNT_LIMIT_MS = 300_000

/**
 * How much waits in each network. What this relay stores and takes out is added and taken off at once; a count of all entries
 * every few seconds corrects that by what other relays did. Without a limit nothing is counted.
 */
export class NetworkTotals {
  readonly #limits: NetworkLimits
  readonly #isOff: boolean
  #sums = new Map<string, QueueSize>()
  readonly #poller: Poller<void> | undefined

  constructor({ database, limits, log, restMs }: NetworkTotalsOptions) {
    this.#limits = limits
    this.#isOff = limits.messages === 0 && limits.bytes === 0
    if (this.#isOff) return
    this.#poller = startPoller(
      async () => {
        const before = structuredClone(this.#sums)
        this.#correct(before, await database.within(countNetworks(database.sql, COUNT_LIMIT_MS), COUNT_LIMIT_MS))
      },
      { log, restMs, complaint: 'waiting messages of networks not counted' }
    )
  }

  /** May a message of so many bytes wait in this network, too? */
  hasRoom({ network, bytes }: { readonly network: string; readonly bytes: number }): boolean {
    if (this.#isOff) return true
    const held = this.#sums.get(network)
    if (held === undefined) return true
    const { messages: mostMessages, bytes: mostBytes } = this.#limits
    return (mostMessages === 0 || held.entries < mostMessages) && (mostBytes === 0 || held.bytes + bytes <= mostBytes)
  }

  stored(network: string, bytes: number): void {
    this.#add(network, 1, bytes)
  }

  left(network: string, bytes: number): void {
    this.#add(network, -1, -bytes)
  }

  close(): void {
    this.#poller?.close()
  }

  #add(network: string, entries: number, bytes: number): void {
    if (this.#isOff) return
    const held = this.#sums.get(network) ?? { entries: 0, bytes: 0 }
    this.#sums.set(network, { entries: held.entries + entries, bytes: held.bytes + bytes })
  }

  /** What was counted, and what changed here meanwhile. A network of which nothing waits is forgotten. */
  #correct(before: ReadonlyMap<string, QueueSize>, counted: ReadonlyMap<string, QueueSize>): void {
    const sums = new Map(counted)
    for (const [network, now] of this.#sums) {
      const [then, found] = [before.get(network), counted.get(network)]
      const entries = (found?.entries ?? 0) + now.entries - (then?.entries ?? 0)
      const bytes = (found?.bytes ?? 0) + now.bytes - (then?.bytes ?? 0)
      if (entries === 0 && bytes === 0) sums.delete(network)
      else sums.set(network, { entries, bytes })
    }
    this.#sums = sums
  }
}
