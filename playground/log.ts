// The list of messages: each as the two people see it, and beside it as the relay saw it.
import { element, sizeOf } from './dom.ts'
import type { Seen } from './talk.ts'

/** Characters of a sealed body that are shown. */
const EXCERPT = 120

export interface Entry {
  /** Replaces what is said below the message. */
  meta(text: string): void
  /** What the relay saw of it: a sealed message, or what there is to say. */
  relay(seen: Seen | string): void
}

export class Log {
  readonly #list: HTMLElement
  readonly #verify: (seen: Seen) => Promise<string>

  constructor(list: HTMLElement, verify: (seen: Seen) => Promise<string>) {
    this.#list = list
    this.#verify = verify
  }

  /** A message of ours or of the other; `relay` is added when it is known what the relay saw. */
  message(who: 'mine' | 'theirs', content: Node | string, meta: string): Entry {
    const line = element('p', 'meta', meta)
    const side = element('div', 'relay')
    this.#add(who, element('div', 'seen', element('p', '', content), line), side)
    return {
      meta: (text) => {
        line.textContent = text
      },
      relay: (seen) => {
        side.append(...(typeof seen === 'string' ? [element('p', '', seen)] : this.#seen(seen)))
        this.#scroll()
      }
    }
  }

  /** Something that is no message. */
  note(text: string): void {
    this.#add('note', element('div', 'seen', element('p', '', text)))
  }

  #add(kind: string, ...parts: Node[]): void {
    this.#list.append(element('li', `entry ${kind}`, ...parts))
    this.#scroll()
  }

  #scroll(): void {
    this.#list.parentElement!.scrollTop = this.#list.scrollHeight
    this.#list.lastElementChild?.scrollIntoView({ block: 'nearest' }) // where the page scrolls, on a phone
  }

  #seen(seen: Seen): Node[] {
    const { from, to, sealed } = seen
    const line = element('p', '', `${short(from)} to ${short(to)}, ${sizeOf(sealed)} sealed`)
    const excerpt = element('code', '', sealed.length > EXCERPT ? `${sealed.slice(0, EXCERPT)}…` : sealed)
    return [line, excerpt, ...this.#proof(seen)]
  }

  #proof(seen: Seen): Node[] {
    const button = element('button', 'small', 'Verify the proof')
    const answer = element('p', '')
    answer.setAttribute('role', 'status')
    button.type = 'button'
    button.onclick = async () => {
      button.disabled = true
      answer.className = ''
      answer.textContent = 'Waiting for the signed log …'
      try {
        answer.textContent = await this.#verify(seen)
        answer.className = 'good'
        button.hidden = true
      } catch (error) {
        answer.textContent = (error as Error).message
        answer.className = 'bad'
        button.disabled = false
      }
    }
    return [button, answer]
  }
}

export const short = (name: string): string => (/^[0-9a-f]{64}$/.test(name) ? `${name.slice(0, 8)}…` : name)
