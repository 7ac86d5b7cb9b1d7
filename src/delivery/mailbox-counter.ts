import type { MailboxFloors } from './mailbox-floors.ts'

/** What a mailbox holds, from the moment its recipient's first session is being registered. */
export interface MailboxContents {
  readonly entries: number
  readonly bytes: number
  /** Place of the last entry; 0: it is empty. */
  readonly lastSeq: number
}

/** Most messages and bytes that may wait for one recipient. */
export interface MailboxLimit {
  readonly messages: number
  readonly bytes: number
}

/**
 * How much waits in the mailbox of a connected recipient. A message is reserved when it is accepted and given back when
 * it was not stored or has left, so the limit holds however often the recipient reconnects and whatever it acknowledges.
 *
 *     opening: what is committed is noted ──load()──► counting: what the mailbox held, and what came after it
 *
 * Mailboxes of recipients that are away are counted in Postgres (`quota`).
 */
export class MailboxCounter {
  #entries = 0
  #bytes = 0
  /** Sessions that use it. */
  sessions = 0
  /** Entries on their way out: it lives until they are gone, so that a session that comes back finds it exact. */
  releasing = 0
  /** What was committed while it was being loaded. */
  #opening: { readonly seq: number; readonly bytes: number }[] | undefined = []

  get isCounting(): boolean {
    return this.#opening === undefined
  }

  get entries(): number {
    return this.#entries
  }

  get bytes(): number {
    return this.#bytes
  }

  /** The mailbox held this when it was asked; a second call changes nothing. */
  load({ entries, bytes, lastSeq }: MailboxContents): void {
    const opening = this.#opening
    if (opening === undefined) return
    this.#opening = undefined
    this.#entries = entries
    this.#bytes = bytes
    for (const entry of opening) if (entry.seq > lastSeq) this.committed(entry)
  }

  /** Takes room for a message; false: the mailbox is full. */
  reserve(bytes: number, limit: MailboxLimit): boolean {
    if (this.#entries >= limit.messages || this.#bytes + bytes > limit.bytes) return false
    this.#entries += 1
    this.#bytes += bytes
    return true
  }

  /** A message was stored for which no room was taken here: its recipient was away when it was accepted. */
  committed(entry: { readonly seq: number; readonly bytes: number }): void {
    if (this.#opening !== undefined) {
      this.#opening.push({ seq: entry.seq, bytes: entry.bytes })
      return
    }
    this.#entries += 1
    this.#bytes += entry.bytes
  }

  /** A message has left, or was not stored. */
  giveBack(bytes: number): void {
    this.#entries -= 1
    this.#bytes -= bytes
  }
}

/** The counters of recipients that are connected or being registered, or whose last entries are being released. */
export class MailboxCounters {
  readonly #counters = new Map<string, MailboxCounter>()
  readonly #floors: MailboxFloors | undefined

  /** `floors` hears of mailboxes that are empty when nobody uses their counters any more. */
  constructor(floors?: MailboxFloors) {
    this.#floors = floors
  }

  /** The counter of a mailbox for one more session; `close` gives it back. */
  open(network: string, recipient: string): MailboxCounter {
    const key = keyOf(network, recipient)
    let counter = this.#counters.get(key)
    if (counter === undefined) {
      counter = new MailboxCounter()
      this.#counters.set(key, counter)
    }
    counter.sessions += 1
    return counter
  }

  find(network: string, recipient: string): MailboxCounter | undefined {
    return this.#counters.get(keyOf(network, recipient))
  }

  /** A session that used it is over. */
  close(network: string, recipient: string, counter: MailboxCounter): void {
    counter.sessions -= 1
    this.#dropUnused(network, recipient, counter)
  }

  /** An entry has left the mailbox (`bytes`), or could not be released and stays (undefined). */
  released(network: string, recipient: string, counter: MailboxCounter, bytes: number | undefined): void {
    counter.releasing -= 1
    if (bytes !== undefined) counter.giveBack(bytes)
    this.#dropUnused(network, recipient, counter)
  }

  #dropUnused(network: string, recipient: string, counter: MailboxCounter): void {
    if (counter.sessions > 0 || counter.releasing > 0) return
    const key = keyOf(network, recipient)
    if (this.#counters.get(key) !== counter) return
    this.#counters.delete(key)
    if (counter.isCounting && counter.entries === 0) this.#floors?.isEmpty({ network, recipient })
  }
}

const keyOf = (network: string, recipient: string) => `${network} ${recipient}`
