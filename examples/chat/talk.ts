// A chat between two people on a terminal, or between two programs on pipes.
import { type Chat, errorText, type Listener, type MessageStatus, type ReceivedMessage } from './chat.ts'
import type { Screen } from './screen.ts'

export const CHAT_HELP = '/to NAME  /who  /quit; every other line is a message. //… sends a line that begins with /'

/** How texts are written to the terminal. */
export interface TextFormat {
  paint(style: 'cyan' | 'dim' | 'red', text: string): string
  /** Text of strangers without control characters, so that it cannot move the cursor or start a new line. */
  plain(text: string): string
  /** A name, also of strangers: short and without control characters. */
  shortName(name: string): string
}

/** Acts on the lines that the user enters, and shows what happens in the chat. */
export class Talk implements Listener {
  readonly #screen: Screen
  readonly #format: TextFormat
  #to: string | undefined
  #chat: Chat | undefined
  #count = 0
  /** We close the chat ourselves. */
  #isDone = false
  /** The connection ended without reconnection before we closed the chat. */
  #isOver = false
  /** Messages that are being sent: the chat is closed after them. */
  readonly #sending = new Set<Promise<void>>()

  constructor(screen: Screen, format: TextFormat, to: string | undefined) {
    this.#screen = screen
    this.#format = format
    this.#to = to
  }

  /** Talks until the input ends, then waits for messages being sent. Resolves to whether the connection held. */
  async run(chat: Chat, until: AbortSignal): Promise<boolean> {
    this.#chat = chat
    this.#screen.open((line) => this.#takeLine(line))
    if (until.aborted) this.#screen.close()
    until.addEventListener('abort', () => this.#screen.close(), { once: true })
    await this.#screen.ended
    await Promise.all(this.#sending)
    this.#isDone = true
    return !this.#isOver
  }

  note(text: string): void {
    this.#screen.print(this.#format.paint('dim', `* ${text}`))
  }

  message({ from, text, problem, waited }: ReceivedMessage): void {
    const name = this.#format.paint('cyan', this.#format.shortName(from))
    const when = waited ? this.#format.paint('dim', ' (while you were away)') : ''
    if (text === undefined)
      this.#screen.print(
        `${name}${when}: ${this.#format.paint('red', `(unreadable: ${this.#format.plain(problem ?? '')})`)}`
      )
    else this.#screen.print(`${name}${when}: ${this.#format.plain(text)}`)
  }

  presence(peer: string, isHere: boolean): void {
    if (this.#to === undefined || peer === this.#to)
      this.note(`${this.#format.shortName(peer)} ${isHere ? 'is here' : 'is away'}`)
  }

  status(number: number, status: MessageStatus, reason?: string): void {
    const words: Record<MessageStatus, string> = {
      sent: 'sent',
      queued: 'queued: away, the server keeps it',
      delivered: 'delivered',
      failed: 'failed',
      unknown: 'unknown'
    }
    const text = `#${number} ${words[status]}${reason === undefined ? '' : `: ${this.#format.plain(reason)}`}`
    this.#screen.print(this.#format.paint(status === 'failed' || status === 'unknown' ? 'red' : 'dim', text))
  }

  connection(state: 'lost' | 'again' | 'over', details?: string): void {
    if (this.#isDone) return // the chat is being closed
    if (state === 'again') this.note('connected again')
    else this.note(`connection lost (${details})${state === 'lost' ? ', trying again' : ''}`)
    if (state !== 'over') return
    this.#isOver = true
    this.#screen.close()
  }

  problem(text: string): void {
    this.#screen.print(this.#format.paint('red', `! ${this.#format.plain(text)}`))
  }

  #takeLine(line: string): void {
    const [, command, rest = ''] = /^\/([a-z?]+)(?:\s+(.*?))?\s*$/.exec(line) ?? []
    if (command !== undefined) this.#runCommand(command, rest)
    else if (line.trim() !== '') this.#send(line.startsWith('//') ? line.slice(1) : line)
  }

  #runCommand(command: string, rest: string): void {
    if (command === 'quit') this.#screen.close()
    else if (command === 'who') void this.#showPeers()
    else if (command === 'to' && rest !== '') void this.#chooseRecipient(rest)
    else this.note(CHAT_HELP)
  }

  #send(text: string): void {
    if (this.#to === undefined) {
      this.problem('to whom? /who tells who is here, /to NAME chooses')
      return
    }
    this.#count += 1
    const sending = this.#chat!.send(this.#count, this.#to, text)
    this.#sending.add(sending)
    void sending.finally(() => this.#sending.delete(sending))
  }

  async #showPeers(): Promise<void> {
    const peers = await this.#present()
    if (peers !== undefined)
      this.note(
        peers.length === 0 ? 'nobody else is here' : `here: ${peers.map((peer) => this.#format.plain(peer)).join(' ')}`
      )
  }

  /** Takes a full name, or the beginning of the name of a connected peer. */
  async #chooseRecipient(name: string): Promise<void> {
    const fits = ((await this.#present()) ?? []).filter((peer) => peer.startsWith(name))
    this.#to = fits.length === 1 && !fits.includes(name) ? fits[0]! : name
    this.note(`to ${this.#format.plain(this.#to)}`)
  }

  #present(): Promise<string[] | undefined> {
    return this.#chat!.present().catch((error) => void this.problem(errorText(error)))
  }
}
