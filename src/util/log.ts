type Line = (facts: object, message: string) => void

/** The part of a pino logger that the store uses. */
export interface Log {
  debug: Line
  info: Line
  warn: Line
  error: Line
}
