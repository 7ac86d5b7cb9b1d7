import type { WriteStream } from 'node:tty'

/** Redrawn at most so often, ms: a terminal is slower than we are. */
const REDRAW_MS = 100
const CLEAR_LINE = '\r\x1b[K'

/** A line that says how far long work is: overwritten by the next on a terminal, nothing elsewhere. */
export function statusLine(stream: WriteStream): { show(text: string): void; clear(): void } {
  let shownAt = Number.NEGATIVE_INFINITY
  let isShown = false
  return {
    show(text) {
      if (!stream.isTTY || performance.now() - shownAt < REDRAW_MS) return
      shownAt = performance.now()
      isShown = true
      stream.write(CLEAR_LINE + text.slice(0, (stream.columns || 80) - 1))
    },
    clear() {
      if (isShown) stream.write(CLEAR_LINE)
      isShown = false
    }
  }
}
