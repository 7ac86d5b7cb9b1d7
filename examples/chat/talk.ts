// A chat between two people on a terminal, or between two programs on pipes.
import { type Paint, plain, shortName } from '../../src/cli/words.ts'
import { type Chat, type Fate, type Listener, sentence } from './chat.ts'
import type { Screen } from './screen.ts'

export const CHAT_HELP = '/to NAME  /who  /quit; every other line is a message. //… sends a line that begins with /'

/** The rules of the conversation: what a line means, and how what happens is shown. */
export class Talk implements Listener {
  readonly #screen: Screen
  readonly #paint: Paint
  #to: string | undefined
  #chat: Chat | undefined
  #count = 0
  /** We are leaving. */
  #isDone = false
  /** The connection ended for good before we did. */
  #isOver = false
  /** Of messages under way: so that the last words are not cut off. */
  readonly #sending = new Set<Promise<void>>()

  constructor(screen: Screen, paint: Paint, to: string | undefined) {
    this.#screen = screen
    this.#paint = paint
    this.#to = to
  }

  /** Talks until the input ends, then waits for what is under way; resolves to whether the connection held. */
  async run(chat: Chat, until: AbortSignal): Promise<boolean> {
    this.#chat = chat
    this.#screen.open((line) => this.#take(line))
    if (until.aborted) this.#screen.close()
    until.addEventListener('abort', () => this.#screen.close(), { once: true })
    await this.#screen.ended
    await Promise.all(this.#sending)
    this.#isDone = true
    return !this.#isOver
  }

  note(text: string): void {
    this.#screen.print(this.#paint('dim', `* ${text}`))
  }

  message({ from, text, problem, waited }: Parameters<Listener['message']>[0]): void {
    const name = this.#paint('cyan', shortName(from))
    const when = waited ? this.#paint('dim', ' (while you were away)') : ''
    if (text === undefined)
      this.#screen.print(`${name}${when}: ${this.#paint('red', `(unreadable: ${plain(problem ?? '')})`)}`)
    else this.#screen.print(`${name}${when}: ${plain(text)}`)
  }

  presence(peer: string, isHere: boolean): void {
    if (this.#to === undefined || peer === this.#to) this.note(`${shortName(peer)} ${isHere ? 'is here' : 'is away'}`)
  }

  fate(number: number, fate: Fate, why?: string): void {
    const words: Record<Fate, string> = {
      sent: 'sent',
      queued: 'queued: away, the server keeps it',
      delivered: 'delivered',
      failed: 'failed',
      unknown: 'unknown'
    }
    const text = `#${number} ${words[fate]}${why === undefined ? '' : `: ${plain(why)}`}`
    this.#screen.print(this.#paint(fate === 'failed' || fate === 'unknown' ? 'red' : 'dim', text))
  }

  connection(state: 'lost' | 'again' | 'over', details?: string): void {
    if (this.#isDone) return // we closed it
    if (state === 'again') this.note('connected again')
    else this.note(`connection lost (${details})${state === 'lost' ? ', trying again' : ''}`)
    if (state !== 'over') return
    this.#isOver = true
    this.#screen.close()
  }

  problem(text: string): void {
    this.#screen.print(this.#paint('red', `! ${plain(text)}`))
  }

  #take(line: string): void {
    const [, command, rest = ''] = /^\/([a-z?]+)(?:\s+(.*?))?\s*$/.exec(line) ?? []
    if (command !== undefined) this.#obey(command, rest)
    else if (line.trim() !== '') this.#send(line.startsWith('//') ? line.slice(1) : line)
  }

  #obey(command: string, rest: string): void {
    if (command === 'quit') this.#screen.close()
    else if (command === 'who') void this.#tellWho()
    else if (command === 'to' && rest !== '') void this.#turnTo(rest)
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

  async #tellWho(): Promise<void> {
    const peers = await this.#present()
    if (peers !== undefined)
      this.note(peers.length === 0 ? 'nobody else is here' : `here: ${peers.map(plain).join(' ')}`)
  }

  /** A name in full, or how the name of one who is here begins. */
  async #turnTo(name: string): Promise<void> {
    const fits = ((await this.#present()) ?? []).filter((peer) => peer.startsWith(name))
    this.#to = fits.length === 1 && !fits.includes(name) ? fits[0]! : name
    this.note(`to ${plain(this.#to)}`)
  }

  #present(): Promise<string[] | undefined> {
    return this.#chat!.present().catch((error) => void this.problem(sentence(error)))
  }
}
