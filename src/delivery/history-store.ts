import { LruMap } from 'toad-cache'
import type { AnySql } from '../database/database.ts'
import {
  conversationId,
  type Earlier,
  findEarlier,
  insertMessages,
  lastSentAt,
  type NewMessage
} from '../store/message.ts'
import type { QueueEntry, StoreOptions } from '../store/queue-entry.ts'
import type { MessageStore, Repeat } from './message-store.ts'

/** Conversations whose last time is remembered; the one used longest ago goes first. */
const MAX_CONVERSATIONS = 50_000

/**
 * Stores every message for history, once per (network, sender, recipient, digest). The times that a relay gives in a
 * conversation grow strictly, max(now, last + 1); two relays may give the same one (docs/protocol.md, 4.4).
 */
export class HistoryStore implements MessageStore {
  readonly #conversations = new LruMap<{ readonly id: string; last: number | undefined }>(MAX_CONVERSATIONS)
  readonly #options: StoreOptions

  constructor(options: StoreOptions) {
    this.#options = options
  }

  async insert(sql: AnySql, entries: readonly QueueEntry[], isNew: boolean): Promise<(QueueEntry | Repeat)[]> {
    if (!isNew) return this.#insertSome(sql, entries)
    const messages = await this.#place(sql, entries)
    const stored = await insertMessages(sql, messages, this.#options, true)
    for (const [index, seq] of stored) entries[index]!.seq = seq
    return [...entries]
  }

  /** Some of these may have been stored before: by an earlier try, also through another relay. */
  async #insertSome(sql: AnySql, entries: readonly QueueEntry[]): Promise<(QueueEntry | Repeat)[]> {
    const stored = await insertMessages(sql, await this.#place(sql, entries), this.#options, false)
    for (const [index, seq] of stored) entries[index]!.seq = seq
    const missing = entries.filter((_, index) => !stored.has(index))
    const repeats = (missing.length === 0 ? [] : await this.repeats(sql, missing)).values()
    return entries.map((entry, index) => (stored.has(index) ? entry : this.#known(repeats.next().value)))
  }

  /** What was not stored is there. History may have been swept in between: then the message is tried again. */
  #known(repeat: Repeat | undefined): Repeat {
    if (repeat === undefined) throw new Error('A message was neither stored nor found')
    return repeat
  }

  async repeats(sql: AnySql, entries: readonly QueueEntry[]): Promise<(Repeat | undefined)[]> {
    const messages = entries.map((entry) => ({ entry, conversation: this.#conversation(entry).id, sentAt: 0 }))
    const earlier = await findEarlier(sql, messages)
    return entries.map((entry, index) => repeatOf(entry, earlier.get(index)))
  }

  async #place(sql: AnySql, entries: readonly QueueEntry[]): Promise<NewMessage[]> {
    const unknown = new Set(entries.map((entry) => this.#conversation(entry)).filter((c) => c.last === undefined))
    if (unknown.size > 0) {
      const last = await lastSentAt(
        sql,
        [...unknown].map((conversation) => conversation.id)
      )
      for (const conversation of unknown) conversation.last ??= last.get(conversation.id) ?? 0 // unless another group did
    }
    return entries.map((entry) => {
      const conversation = this.#conversation(entry)
      conversation.last = Math.max(entry.acceptedAt, (conversation.last ?? 0) + 1)
      return { entry, conversation: conversation.id, sentAt: conversation.last }
    })
  }

  #conversation({ network, sender, recipient }: QueueEntry) {
    const key = sender < recipient ? `${network} ${sender} ${recipient}` : `${network} ${recipient} ${sender}`
    let conversation = this.#conversations.get(key)
    if (conversation === undefined) {
      conversation = { id: conversationId(network, sender, recipient), last: undefined }
      this.#conversations.set(key, conversation)
    }
    return conversation
  }
}

function repeatOf(entry: QueueEntry, earlier: Earlier | undefined): Repeat | undefined {
  if (earlier === undefined) return undefined
  const { seq, wasGivenUp } = earlier
  // No retry brings one back that was given up, and none is told that it went well.
  if (wasGivenUp || earlier.sealed !== entry.sealed) return { repeat: 'duplicate', seq }
  return { repeat: earlier.waiting ? 'waiting' : 'received', seq }
}
