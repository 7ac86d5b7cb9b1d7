// A terminal on which a person types while messages come in.
import { once } from 'node:events'
import { clearScreenDown, createInterface, cursorTo, type Interface, moveCursor } from 'node:readline'
import type { ReadStream, WriteStream } from 'node:tty'

export interface Screen {
  /** Prints a line above the text being typed, which stays as it is. */
  print(line: string): void
  /** Starts to pass on lines, beginning with those that came earlier; on a terminal, with a prompt. */
  open(entered: (line: string) => void): void
  /** Resolves when no more lines will come: end of input, or Ctrl-C. */
  readonly ended: Promise<unknown>
  close(): void
}

/** On a terminal, shows a prompt; on pipes, reads and writes plain lines. */
export function createScreen(input: ReadStream, output: WriteStream, prompt: string): Screen {
  const isTerminal = input.isTTY === true && output.isTTY === true
  const reader = createInterface(isTerminal ? { input, output, prompt } : { input })
  const ended = once(reader, 'close')
  const early: string[] = []
  let take = (line: string): void => void early.push(line)
  let hasPrompt = false
  reader.on('line', (line) => {
    take(line)
    if (hasPrompt) reader.prompt()
  })
  reader.on('SIGINT', () => reader.close())
  reader.on('close', () => {
    hasPrompt = false
  })
  return {
    ended,
    open: (entered) => {
      take = entered
      for (const line of early.splice(0)) entered(line)
      hasPrompt = isTerminal
      if (hasPrompt) reader.prompt()
    },
    print: (line) => {
      if (hasPrompt) printAbove(reader, output, line)
      else output.write(`${line}\n`)
    },
    close: () => {
      reader.close()
      input.destroy() // an open input would keep the process alive
    }
  }
}

/** The text being typed may take several rows: the line is printed where they began, and they are drawn again below. */
function printAbove(reader: Interface, output: WriteStream, line: string): void {
  moveCursor(output, 0, -reader.getCursorPos().rows)
  cursorTo(output, 0)
  clearScreenDown(output)
  output.write(`${line}\n`)
  // readline remembers how many rows above the cursor its prompt began; now the prompt begins at the cursor.
  const drawn: { prevRows?: number } = reader as Interface & { prevRows?: number }
  drawn.prevRows = 0
  reader.prompt(true)
}
