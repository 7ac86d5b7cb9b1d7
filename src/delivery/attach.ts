import { DatabaseUnavailable } from '../database/database.ts'
import type { Registry } from '../presence/registry.ts'
import type { Message, QueueEntry } from '../store/queue-entry.ts'
import type { Attachments, OpenedMailbox } from './attachments.ts'
import type { Admission, Recipients } from './mailbox.ts'
import type { MailboxCounter, MailboxCounters, MailboxLimit } from './mailbox-counter.ts'
import type { Member } from './member.ts'
import type { Box, HeldPlace } from './places.ts'
import type { Releases } from './releases.ts'
import { limitOfStrangers, type Standing, type Strangers } from './strangers.ts'

/**
 * Opens the mailbox of a peer that is about to be registered. From here on its counter counts, and what it holds is asked
 * after that, so nothing committed meanwhile is missed. Rejects with `DatabaseUnavailable`.
 */
async function openMailbox(
  { counters, contentsOf }: Attachments<Member>,
  { network, recipient }: Box
): Promise<OpenedMailbox> {
  const counter = counters.open(network, recipient)
  const close = () => counters.close(network, recipient, counter)
  const contents = await contentsOf({ network, recipient }).catch(() => 'unavailable' as const)
  if (typeof contents === 'string') {
    close()
    throw new DatabaseUnavailable('the contents of the mailbox could not be read')
  }
  counter.load(contents)
  return { network, recipient, counter, isEmpty: contents.entries === 0, place: undefined, close }
}

/**
 * The same in a cluster, where mailboxes are counted in Postgres. What is handed over by other relays before the session
 * is registered comes too early, so the mailbox is read in any case.
 */
function openSharedMailbox(
  { counters, places }: Attachments<Member>,
  { network, recipient }: Box,
  place: HeldPlace
): OpenedMailbox {
  const counter = counters.open(network, recipient)
  counter.load({ entries: 0, bytes: 0, lastSeq: 0 })
  const close = () => {
    counters.close(network, recipient, counter)
    places?.leave({ network, recipient }, undefined).catch(() => {}) // it is tried again
  }
  return { network, recipient, counter, isEmpty: false, place, close }
}

/**
 * Carries a registration out and opens the mailbox of its peer: what both protocols do after a proof, before
 * `new Member`. `work` stores the registration; when it resolves to something that `isIn` calls a success, the mailbox is
 * there, or why there is none: another relay has a live socket of the client id, or the peer has too many sessions.
 *
 * Alone these are two questions to Postgres and one wait. In a cluster one comes after the other: who owns the name, then a
 * place, which makes the peer visible to the other relays.
 */
export async function withMailbox<T>(
  attachments: Attachments<Member>,
  box: Box,
  work: () => Promise<T>,
  isIn: (result: T) => boolean
): Promise<{ result: T; mailbox: OpenedMailbox | 'taken' | 'too-many' | undefined }> {
  if (attachments.places === undefined) return withOwnMailbox(openMailbox(attachments, box), work(), isIn)
  const result = await work()
  if (!isIn(result)) return { result, mailbox: undefined }
  const place = await attachments.places.enter(box)
  if (place === 'taken' || place === 'too-many') return { result, mailbox: place }
  if (typeof place === 'string') throw new DatabaseUnavailable('no place in the cluster could be taken')
  return { result, mailbox: openSharedMailbox(attachments, box, place) }
}

async function withOwnMailbox<T>(opening: Promise<OpenedMailbox>, work: Promise<T>, isIn: (result: T) => boolean) {
  const [opened, worked] = await Promise.allSettled([opening, work])
  if (opened.status === 'rejected' || worked.status === 'rejected') {
    if (opened.status === 'fulfilled') opened.value.close()
    throw worked.status === 'rejected' ? worked.reason : (opened as PromiseRejectedResult).reason
  }
  if (isIn(worked.value)) return { result: worked.value, mailbox: opened.value }
  opened.value.close()
  return { result: worked.value, mailbox: undefined }
}

type Then = (admission: Admission | 'recipient_full' | 'unavailable') => void

/** The connected recipients of both protocols, where the relay is alone: all of them are in its registry. */
export class ConnectedRecipients implements Recipients {
  readonly #registry: Registry<Member>
  readonly #counters: MailboxCounters
  readonly #releases: Releases
  readonly #strangers: Strangers

  constructor(registry: Registry<Member>, counters: MailboxCounters, releases: Releases, strangers: Strangers) {
    this.#registry = registry
    this.#counters = counters
    this.#releases = releases
    this.#strangers = strangers
  }

  admit(message: Message, limit: MailboxLimit, then: Then): void {
    if (!this.#strangers.isAsking(message)) {
      const admission = this.#take(message, limitOfStrangers(limit))
      if (admission !== 'recipient_full') {
        then(admission)
        return
      }
    }
    const grants = (standing: Standing) => !standing.isOver(message.bytes, limit)
    this.#strangers.ask(message, grants, (standing) => {
      if (typeof standing === 'string') then('unavailable')
      else then(this.#take(message, limit, standing))
    })
  }

  /** `standing` is asked where the mailbox is half full. */
  #take(message: Message, limit: MailboxLimit, standing?: Standing): Admission | 'recipient_full' {
    const counter = this.#counterFor(message)
    if (counter === undefined) return { slot: true, counter }
    const { bytes } = message
    if (standing?.isOver(bytes, limit)) return 'recipient_full'
    if (!counter.reserve(bytes, standing?.limitOf(limit) ?? limit)) return 'recipient_full'
    standing?.took(bytes)
    return { slot: false, counter }
  }

  committed(entry: QueueEntry, { counter }: Admission, done: (isConnected: boolean) => void): void {
    if (counter === undefined) this.#counters.find(entry.network, entry.recipient)?.committed(entry)
    const isConnected = offerTo(this.#registry.sessions(entry.network, entry.recipient), entry)
    if (!isConnected && !entry.slot) this.#left(entry)
    done(isConnected)
  }

  dropped({ bytes }: Message, { counter }: Admission): void {
    counter?.giveBack(bytes)
  }

  reread(message: Message, seq: number, done: (isConnected: boolean) => void): void {
    const takers = this.#registry
      .sessions(message.network, message.recipient)
      .filter((member) => takes(member, message))
    for (const { delivery } of takers) delivery.reread(seq)
    done(takers.length > 0)
  }

  /** The counter of the recipient's mailbox while it is connected and takes messages sealed for this key. */
  #counterFor(message: Message): MailboxCounter | undefined {
    for (const member of this.#registry.sessions(message.network, message.recipient)) {
      if (takes(member, message)) return member.counter
    }
    return undefined
  }

  /** An entry that holds no place in the quotas was committed for a recipient that is away now. */
  #left({ network, recipient }: QueueEntry): void {
    const isAway = this.#registry.sessions(network, recipient).length === 0
    if (isAway) this.#releases.ended({ network, recipient, unreceipted: [], isLast: true })
  }
}

/** Offers a committed entry to sessions of its recipient; false when none of them takes it. */
export function offerTo(members: readonly Member[], entry: QueueEntry): boolean {
  let isOffered = false
  for (const member of members) {
    if (!takes(member, entry)) continue
    member.delivery.offer(entry)
    isOffered = true
  }
  return isOffered
}

/** Does a peer that registered with this key take messages that are sealed for that one? */
export const takes = ({ keyId }: { readonly keyId: string | null }, message: Pick<Message, 'keyId'>): boolean =>
  message.keyId === null || message.keyId === keyId
