import { MAX_OPAQUE_VALUES } from './opaque.ts'

/** A frame with no more bytes is parsed in a moment, whatever is in it. */
const SIMPLE_BYTES = 10_000
/** Commas and opening brackets of the largest body that is relayed, its empty lists and objects among them, and of a frame. */
const MAX_MARKS = 2 * MAX_OPAQUE_VALUES + 1_000
/** A string is looked at byte by byte so far; the end of a longer one is searched for, at most so often in a frame. */
const SHORT_STRING_BYTES = 64
const MAX_SEARCHES = 64

const QUOTE = 0x22
const BACKSLASH = 0x5c
const [OPEN_BRACE, OPEN_BRACKET, COMMA] = [0x7b, 0x5b, 0x2c]

/**
 * Has a frame so many values, or such depth, that to parse it would take a hundred times as long as its size lets expect?
 * Told without parsing it, in about a nanosecond a byte; long strings cost next to nothing.
 */
export function isTooComplex(data: Buffer): boolean {
  if (data.length <= SIMPLE_BYTES) return false
  let [marks, searches] = [0, 0]
  let stringAt: number | undefined
  for (let at = 0; at < data.length; at++) {
    const byte = data[at]
    if (stringAt !== undefined) {
      if (byte === BACKSLASH) at += 1
      else if (byte === QUOTE) stringAt = undefined
      else if (at - stringAt > SHORT_STRING_BYTES && searches < MAX_SEARCHES) {
        searches += 1
        at = beforeQuote(data, at)
      }
    } else if (byte === QUOTE) stringAt = at
    else if ((byte === COMMA || byte === OPEN_BRACKET || byte === OPEN_BRACE) && ++marks > MAX_MARKS) return true
  }
  return false
}

/** The place before the next quote and before the backslashes that may escape it. */
function beforeQuote(data: Buffer, from: number): number {
  let at = data.indexOf(QUOTE, from)
  if (at === -1) return data.length
  while (at > from && data[at - 1] === BACKSLASH) at -= 1
  return Math.max(from, at - 1)
}
