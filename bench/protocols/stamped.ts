/** Stands before a message's number wherever it is written. All of it could be base64. */
const MARK = 'benchNo0'
const DIGITS = 8
const ZERO = 48

/** A place for a number, to be put into texts that will be stamped. As long as 12 bytes are in base64. */
export const STAMP = MARK + '0'.repeat(DIGITS)

/** A text made once, in which only the number changes. */
export class Stamped {
  readonly bytes: Buffer
  readonly #places: number[] = []

  constructor(text: string) {
    this.bytes = Buffer.from(text)
    for (let at = this.bytes.indexOf(MARK); at !== -1; at = this.bytes.indexOf(MARK, at + 1)) {
      this.#places.push(at + MARK.length)
    }
  }

  /** Writes the number in; what was sent before must have been copied by now. */
  with(number: number): Buffer {
    for (const place of this.#places) {
      let rest = number
      for (let at = place + DIGITS - 1; at >= place; at--) {
        this.bytes[at] = ZERO + (rest % 10)
        rest = Math.trunc(rest / 10)
      }
    }
    return this.bytes
  }
}

/** The number in a frame; -1 when there is none. */
export function numberIn(frame: Buffer): number {
  const mark = frame.indexOf(MARK)
  if (mark === -1) return -1
  let number = 0
  for (let at = mark + MARK.length; at < mark + MARK.length + DIGITS; at++) number = number * 10 + frame[at]! - ZERO
  return number
}
