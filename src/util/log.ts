type Line = (facts: object, message: string) => void

/** The part of a pino logger that rules use; tests pass their own. */
export interface Log {
  debug: Line
  info: Line
  warn: Line
  error: Line
}
