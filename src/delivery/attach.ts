import { DatabaseUnavailable } from '../database/database.ts'
import type { Registry } from '../presence/registry.ts'
import type { Message, QueueEntry } from '../store/queue-entry.ts'
import type { Attachments, OpenedMailbox } from './attachments.ts'
import type { Recipients } from './mailbox.ts'
import type { MailboxCounter, MailboxCounters } from './mailbox-counter.ts'
import type { Member } from './member.ts'
import type { Releases } from './releases.ts'

/**
 * Opens the mailbox of a peer that is about to be registered: what both protocols do after a proof, before `new Member`.
 * From here on its counter counts, and what it holds is asked after that, so nothing committed meanwhile is missed.
 * Rejects with `DatabaseUnavailable`.
 */
export async function openMailbox(
  { counters, contentsOf }: Attachments<Member>,
  network: string,
  recipient: string
): Promise<OpenedMailbox> {
  const counter = counters.open(network, recipient)
  const close = () => counters.close(network, recipient, counter)
  const contents = await contentsOf({ network, recipient }).catch(() => 'unavailable' as const)
  if (typeof contents === 'string') {
    close()
    throw new DatabaseUnavailable('the contents of the mailbox could not be read')
  }
  counter.load(contents)
  return { network, recipient, counter, isEmpty: contents.entries === 0, close }
}

/**
 * Carries a registration out while the mailbox of its peer is being opened: two questions to Postgres, one wait. The mailbox
 * is closed unless `work` resolves to something that `isIn` calls a success.
 */
export async function withMailbox<T>(
  opening: Promise<OpenedMailbox>,
  work: Promise<T>,
  isIn: (result: T) => boolean
): Promise<{ result: T; mailbox: OpenedMailbox | undefined }> {
  const [opened, worked] = await Promise.allSettled([opening, work])
  if (opened.status === 'rejected' || worked.status === 'rejected') {
    if (opened.status === 'fulfilled') opened.value.close()
    throw worked.status === 'rejected' ? worked.reason : (opened as PromiseRejectedResult).reason
  }
  if (isIn(worked.value)) return { result: worked.value, mailbox: opened.value }
  opened.value.close()
  return { result: worked.value, mailbox: undefined }
}

/** The connected recipients of both protocols, as their mailboxes know them. */
export class ConnectedRecipients implements Recipients {
  readonly #registry: Registry<Member>
  readonly #counters: MailboxCounters
  readonly #releases: Releases

  constructor(registry: Registry<Member>, counters: MailboxCounters, releases: Releases) {
    this.#registry = registry
    this.#counters = counters
    this.#releases = releases
  }

  counterFor(message: Message): MailboxCounter | undefined {
    for (const member of this.#registry.sessions(message.network, message.recipient)) {
      if (takes(member, message.keyId)) return member.counter
    }
    return undefined
  }

  counterOf(network: string, recipient: string): MailboxCounter | undefined {
    return this.#counters.find(network, recipient)
  }

  offer(entry: QueueEntry): boolean {
    let isOffered = false
    for (const member of this.#registry.sessions(entry.network, entry.recipient)) {
      if (!takes(member, entry.keyId)) continue
      member.delivery.offer(entry)
      isOffered = true
    }
    return isOffered
  }

  reread(message: Message, seq: number): boolean {
    const members = this.#registry.sessions(message.network, message.recipient)
    const takers = members.filter((member) => takes(member, message.keyId))
    for (const { delivery } of takers) delivery.reread(seq)
    return takers.length > 0
  }

  left(network: string, recipient: string): void {
    const isAway = this.#registry.sessions(network, recipient).length === 0
    if (isAway) this.#releases.ended({ network, recipient, unreceipted: [], isLast: true })
  }
}

const takes = (member: Member, keyId: string | null) => keyId === null || keyId === member.keyId
