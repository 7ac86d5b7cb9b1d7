import { createLogger } from '../../src/observability/logging.ts'

export interface LogLines {
  readonly logger: ReturnType<typeof createLogger>
  /** All that was written so far. */
  readonly lines: readonly Record<string, unknown>[]
  /** How many lines so far have this message. */
  count(message: string): number
  /** The first line with this message, written before or still to come. */
  line(message: string): Promise<Record<string, unknown>>
}

/** A real logger whose lines a test can wait for. */
export function logLines(): LogLines {
  const lines: Record<string, unknown>[] = []
  const waiting = new Set<() => void>()
  const stream = {
    write: (text: string) => {
      lines.push(JSON.parse(text))
      for (const look of waiting) look()
    }
  }
  return {
    logger: createLogger({ LOG_LEVEL: 'info' }, { terminal: false, colours: false, stream }),
    lines,
    count: (message) => lines.filter(({ msg }) => msg === message).length,
    line: (message) =>
      new Promise((resolve) => {
        const look = () => {
          const found = lines.find(({ msg }) => msg === message)
          if (found === undefined) return
          waiting.delete(look)
          resolve(found)
        }
        waiting.add(look)
        look()
      })
  }
}
