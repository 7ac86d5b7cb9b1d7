import type { Log } from './log.ts'

/** Most lines of one message in a minute. */
export const LINES_A_MINUTE = 60
const MINUTE_MS = 60_000

/**
 * A log for what peers and strangers can cause, as often as they like: of each message it writes so many lines in the
 * minute since the first, then one that says how many were left out. Errors as well: a frame that meets a defect of ours
 * comes a thousand times a second. Not for what the server does by itself: those lines are rare, and each is wanted.
 */
export function limitedLog(log: Log): Log {
  const kinds = new Map<string, { lines: number }>()
  const limited = (level: keyof Log) => (facts: object, message: string) => {
    let kind = kinds.get(message)
    if (kind === undefined) {
      const begun = { lines: 0 }
      const minuteOver = () => {
        kinds.delete(message)
        const leftOut = begun.lines - LINES_A_MINUTE
        if (leftOut > 0) log[level]({ leftOut }, message)
      }
      setTimeout(minuteOver, MINUTE_MS).unref()
      kinds.set(message, begun)
      kind = begun
    }
    kind.lines += 1
    if (kind.lines <= LINES_A_MINUTE) log[level](facts, message)
  }
  return { debug: limited('debug'), info: limited('info'), warn: limited('warn'), error: limited('error') }
}
