import type { Database } from '../database/database.ts'
import { type Watch, type WatchOptions, watchInBackground } from '../observability/poller.ts'
import { SIGNALING_NETWORK } from '../protocol/signaling.ts'
import { type QueueFigures, readQueueFigures } from '../store/mailbox-overview.ts'

/** What waits in the mailboxes of one protocol. */
export interface ProtocolFigures {
  readonly entries: number
  readonly bytes: number
  /** ms since 1970; undefined when nothing waits. */
  readonly oldestAcceptedAt: number | undefined
}

export interface LatestFigures {
  /** When it was so, ms since 1970. */
  readonly asOf: number
  readonly signaling: ProtocolFigures
  readonly l2ps: ProtocolFigures
}

export type QueueFiguresWatch = Watch<LatestFigures>

export interface QueueFiguresOptions extends Pick<WatchOptions, 'log' | 'restMs'> {
  readonly database: Pick<Database, 'sql' | 'within'>
  /** Milliseconds since 1970. */
  readonly now: () => number
}

/** Looks at the mailboxes in the background. A look reads every entry. */
export function watchQueueFigures({ database, now, ...options }: QueueFiguresOptions): QueueFiguresWatch {
  const look = async () => {
    const asOf = now()
    return sumUp(await database.within(readQueueFigures(database.sql)), asOf)
  }
  return watchInBackground(look, { ...options, complaint: 'queue figures not read' })
}

function sumUp(figures: readonly QueueFigures[], asOf: number): LatestFigures {
  const of = (isOurs: (network: string) => boolean): ProtocolFigures => {
    const ours = figures.filter(({ network }) => isOurs(network))
    return {
      entries: ours.reduce((sum, { entries }) => sum + entries, 0),
      bytes: ours.reduce((sum, { bytes }) => sum + bytes, 0),
      oldestAcceptedAt: ours.length === 0 ? undefined : Math.min(...ours.map((each) => each.oldestAcceptedAt))
    }
  }
  return { asOf, signaling: of((name) => name === SIGNALING_NETWORK), l2ps: of((name) => name !== SIGNALING_NETWORK) }
}
