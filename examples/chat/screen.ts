// Where a person types while messages come in.
import { once } from 'node:events'
import { clearScreenDown, createInterface, cursorTo, type Interface, moveCursor } from 'node:readline'
import type { ReadStream, WriteStream } from 'node:tty'

export interface Screen {
  /** Shows a line above what is being typed, which stays as it is. */
  print(line: string): void
  /** Begins to take lines, those that came before included; on a terminal, with a prompt. */
  open(entered: (line: string) => void): void
  /** Resolves when there will be no more lines: end of input, or Ctrl-C. */
  readonly ended: Promise<unknown>
  close(): void
}

/** With a prompt on a terminal; without one, lines in and lines out. */
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
      input.destroy() // an input that stays open would keep us from ending
    }
  }
}

/** What is being typed may take several rows: the line goes where the first one began, and it is drawn again below. */
function printAbove(reader: Interface, output: WriteStream, line: string): void {
  moveCursor(output, 0, -reader.getCursorPos().rows)
  cursorTo(output, 0)
  clearScreenDown(output)
  output.write(`${line}\n`)
  // readline remembers how many rows up its prompt begins: none any more.
  const drawn: { prevRows?: number } = reader as Interface & { prevRows?: number }
  drawn.prevRows = 0
  reader.prompt(true)
}
