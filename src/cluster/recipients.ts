import { batched } from '../database/batched.ts'
import type { Database } from '../database/database.ts'
import { offerTo, takes } from '../delivery/attach.ts'
import type { Admission, Recipients } from '../delivery/mailbox.ts'
import type { MailboxLimit } from '../delivery/mailbox-counter.ts'
import type { Member } from '../delivery/member.ts'
import type { Releases } from '../delivery/releases.ts'
import { limitOfStrangers, type Standing, type Strangers } from '../delivery/strangers.ts'
import type { Registry } from '../presence/registry.ts'
import { SIGNALING_NETWORK } from '../protocol/signaling.ts'
import type { Message, QueueEntry } from '../store/queue-entry.ts'
import { findPlaces, type PeerName, type Place, waitingFor } from '../store/session-place.ts'
import { Batcher, type BatchFailure } from '../util/batcher.ts'
import type { Log } from '../util/log.ts'
import type { HandedOver } from './hand-over.ts'
import type { ClusterPlaces } from './places.ts'

/** What was found of a recipient before a commit, and what this relay has accepted for it since. */
interface Room {
  places: readonly Place[]
  /** In its mailbox, as far as it is known. */
  entries: number
  bytes: number
  /** When it was asked, ms, monotonic. */
  at: number
  /** Accepted by this relay and not committed yet. */
  inFlight: number
  inFlightBytes: number
  /** Messages that wait for the look that is under way. */
  waiting: Waiting[] | undefined
}

interface Waiting {
  readonly message: Message
  readonly limit: MailboxLimit
  readonly then: (admission: Admission | 'recipient_full' | 'unavailable') => void
  /** Of its sender; undefined: that was not asked. */
  readonly standing: Standing | undefined
}

interface ClusterAdmission extends Admission {
  readonly room: Room
  /** Its sender was at another relay a moment ago. Asked while the sender is here: it may be gone after the commit. */
  readonly hasMoved: boolean
}

export interface ClusterRecipientsOptions {
  readonly database: Database
  readonly relay: string
  readonly registry: Registry<Member>
  readonly releases: Releases
  readonly strangers: Strangers
  readonly places: ClusterPlaces
  /** Hands messages to another relay. */
  readonly handOver: (relay: string, item: HandedOver) => void
  /** May something be missing here, or is the lease over, so that nothing may be sent but from the mailbox? */
  readonly mustRead: () => boolean
  readonly log: Log
}

/** How long a look before a commit is believed, in ms; of a recipient that is away: not at all. */
const BELIEVED_MS = 500
/** A mailbox that seems full is looked at again when the last look is older, in ms. */
const LEAST_MS = 20
/** Counting a mailbox costs time by its length: a look lives for a ms more for each so many entries. */
const ENTRIES_PER_MS = 100
const MOST_ROOMS = 50_000
/** Recipients looked for in one statement. */
const LOOK_PEERS = 2_048

const keyOf = (network: string, peer: string) => `${network} ${peer}`

/**
 * The connected recipients of a cluster. Two looks into Postgres decide what happens to a message:
 *
 * 1. before the commit: is the recipient away, so that the message takes a place in the quotas, and is there room in its
 *    mailbox? It may be half a second old;
 * 2. after the commit: where is the recipient? This one decides what the sender is told, and to whom the message is
 *    handed: to sessions here, as far as they have the place still, and to other relays.
 *
 * A recipient takes its place first and reads its mailbox then, so a message that the second look does not bring to it is
 * read by it. What does not come to another relay is found there, see `missed.ts`.
 */
export class ClusterRecipients implements Recipients {
  readonly #options: ClusterRecipientsOptions
  readonly #rooms = new Map<string, Room>()
  readonly #look: (peer: PeerName) => Promise<{ places: Place[]; entries: number; bytes: number } | BatchFailure>
  readonly #after: Batcher<QueueEntry, readonly Place[]>
  /** Recipients for whom something was committed while it could not be looked where they are. */
  readonly #unlooked = new Map<string, PeerName>()

  constructor(options: ClusterRecipientsOptions) {
    this.#options = options
    const { database, log } = options
    this.#look = batched({
      database,
      work: async (sql, peers: readonly PeerName[]) => {
        const found = byPeer(await findPlaces(sql, peers))
        const here = peers.filter(({ network, peer }) => found.has(keyOf(network, peer)))
        const waiting = here.length === 0 ? [] : await waitingFor(sql, here)
        const counts = new Map(here.map(({ network, peer }, index) => [keyOf(network, peer), waiting[index]!]))
        return peers.map(({ network, peer }) => {
          const key = keyOf(network, peer)
          const { entries = 0, bytes = 0 } = counts.get(key) ?? {}
          return { places: found.get(key) ?? [], entries, bytes }
        })
      },
      failed: (error, peers) => log.warn({ err: error, peers }, 'recipients not looked for')
    })
    const unbounded = Number.POSITIVE_INFINITY
    this.#after = new Batcher({
      write: (entries) => this.#placesOf(entries),
      limits: {
        ...{ batchItems: LOOK_PEERS, batchBytes: unbounded, waitingItems: unbounded, waitingBytes: unbounded },
        ...{ deadlineMs: undefined }
      },
      failed: (error) => log.error({ err: error }, 'a committed message was not handed on')
    })
  }

  admit(
    message: Message,
    limit: MailboxLimit,
    then: (admission: Admission | 'recipient_full' | 'unavailable') => void
  ) {
    const waiting = { message, limit, then, standing: undefined }
    if (this.#options.strangers.isAsking(message)) this.#askFirst(waiting)
    else this.#enter(waiting)
  }

  committed(entry: QueueEntry, admission: Admission, done: (isConnected: boolean) => void): void {
    const { room, hasMoved } = admission as ClusterAdmission
    room.inFlight -= 1
    room.inFlightBytes -= entry.bytes
    this.#after.add(entry, (places) =>
      done(typeof places === 'string' ? this.#unlook(entry) : this.#hand(entry, places, hasMoved))
    )
  }

  dropped({ bytes }: Message, admission: Admission): void {
    const { room } = admission as ClusterAdmission
    room.inFlight -= 1
    room.inFlightBytes -= bytes
    room.entries -= 1
    room.bytes -= bytes
  }

  reread(message: Message, _seq: number, done: (isConnected: boolean) => void): void {
    const entry = { ...message, seq: 0, slot: true, acceptedAt: 0, deliveries: 0 }
    this.#after.add(entry, (places) =>
      done(typeof places === 'string' ? this.#unlook(entry) : this.#hand(entry, places, true))
    )
  }

  /** Something was handed over by another relay, or by this one to itself. */
  take({ network, recipient, epoch, entry }: Omit<HandedOver, 'seq' | 'isShared'>): void {
    const { registry, mustRead } = this.#options
    const members = registry.sessions(network, recipient)
    if (entry === undefined || mustRead()) {
      for (const { delivery } of members) delivery.rereadAll()
      return
    }
    if (network !== SIGNALING_NETWORK) offerTo(members, entry)
    else {
      for (const member of members) {
        if (member.place?.epoch === epoch) offerTo([member], entry)
        else member.delivery.rereadAll() // Postgres decides whether it still has the place
      }
    }
  }

  /** Looks where the recipients are that could not be looked for before. */
  async catchUp(): Promise<void> {
    if (this.#unlooked.size === 0) return
    const { database } = this.#options
    const peers = [...this.#unlooked.values()].slice(0, LOOK_PEERS)
    const places = await database.within(findPlaces(database.sql, peers))
    // What was committed meanwhile needs a look of its own: the recipient may have come before it.
    for (const peer of peers) {
      const key = keyOf(peer.network, peer.peer)
      if (this.#unlooked.get(key) === peer) this.#unlooked.delete(key)
    }
    for (const { network, peer, relay, epoch } of places) this.#say(relay, anew(network, peer, epoch))
    const found = byPeer(places)
    const away = peers.filter(({ network, peer }) => !found.has(keyOf(network, peer)))
    for (const { network, peer } of away) this.#isAway(network, peer)
  }

  #enter(waiting: Waiting): void {
    const room = this.#roomOf(waiting.message)
    if (room.waiting !== undefined) room.waiting.push(waiting)
    else this.#decide(room, waiting, performance.now() - room.at)
  }

  #roomOf({ network, recipient }: Message): Room {
    const key = keyOf(network, recipient)
    const known = this.#rooms.get(key)
    if (known !== undefined) return known
    const room: Room = {
      places: [],
      entries: 0,
      bytes: 0,
      at: Number.NEGATIVE_INFINITY,
      inFlight: 0,
      inFlightBytes: 0,
      waiting: undefined
    }
    this.#rooms.set(key, room)
    if (this.#rooms.size > MOST_ROOMS) this.#forgetOldest()
    return room
  }

  #forgetOldest(): void {
    const [key, room] = this.#rooms.entries().next().value!
    this.#rooms.delete(key)
    if (room.inFlight > 0 || room.waiting !== undefined) this.#rooms.set(key, room)
  }

  /** `age`: of the last look, in ms; 0: it was asked for this message. */
  #decide(room: Room, waiting: Waiting, age: number): void {
    const { message, limit, then, standing } = waiting
    const isAway = !room.places.some((place) => takes(place, message))
    const { messages, bytes } = standing?.limitOf(limit) ?? limitOfStrangers(limit)
    const isFull = !isAway && (room.entries >= messages || room.bytes + message.bytes > bytes)
    const countMs = room.entries / ENTRIES_PER_MS
    const isAsked = standing !== undefined
    const mostAge = isAway ? 0 : Math.max(isFull && isAsked ? LEAST_MS : BELIEVED_MS, countMs)
    if (age > mostAge) this.#lookFirst(room, waiting)
    else if (!isAsked && (isFull || this.#options.strangers.isAsking(message))) this.#askFirst(waiting)
    else if (isFull || (!isAway && standing?.isOver(message.bytes, limit))) then('recipient_full')
    else {
      standing?.took(message.bytes)
      room.entries += 1
      room.bytes += message.bytes
      room.inFlight += 1
      room.inFlightBytes += message.bytes
      const hasMoved = this.#options.places.hasMoved(message.network, message.sender)
      then({ slot: isAway, room, hasMoved } as ClusterAdmission)
    }
  }

  /** Messages from one sender to one recipient wait for the answer in their order. */
  #askFirst(waiting: Waiting): void {
    const { message, limit } = waiting
    const grants = (standing: Standing) => !standing.isOver(message.bytes, limit)
    this.#options.strangers.ask(message, grants, (standing) => {
      if (typeof standing === 'string') waiting.then('unavailable')
      else this.#enter({ ...waiting, standing })
    })
  }

  /** Messages to one recipient wait for its look in their order. */
  #lookFirst(room: Room, first: Waiting): void {
    const waiting = [first]
    room.waiting = waiting
    const { inFlight, inFlightBytes } = room
    const { network, recipient: peer } = first.message
    void this.#look({ network, peer }).then((found) => {
      room.waiting = undefined
      if (typeof found === 'string') {
        room.at = Number.NEGATIVE_INFINITY
        for (const { then } of waiting) then('unavailable')
        return
      }
      room.places = found.places
      room.entries = found.entries + inFlight
      room.bytes = found.bytes + inFlightBytes
      room.at = performance.now()
      for (const each of waiting) this.#decide(room, each, 0)
    })
  }

  /** After the commit, for the whole batch at once. */
  async #placesOf(entries: readonly QueueEntry[]): Promise<(readonly Place[] | BatchFailure)[]> {
    const { database, log } = this.#options
    const peers = new Map(
      entries.map(({ network, recipient }) => [keyOf(network, recipient), { network, peer: recipient }])
    )
    try {
      const found = byPeer(await database.within(findPlaces(database.sql, [...peers.values()])))
      return entries.map(({ network, recipient }) => found.get(keyOf(network, recipient)) ?? [])
    } catch (error) {
      log.warn(
        { err: error, messages: entries.length },
        'recipients of committed messages not looked for, will try again'
      )
      return entries.map(() => 'unavailable' as const)
    }
  }

  /** Hands a committed message to whoever has its recipient; false: it is away. `seq` 0: mailboxes are read anew. */
  #hand(entry: QueueEntry, places: readonly Place[], hasMoved: boolean): boolean {
    const { relay, places: own } = this.#options
    const { network, recipient } = entry
    const takers = places.filter((place) => takes(place, entry))
    const isShared = network !== SIGNALING_NETWORK && takers.length > 1
    // A message before this one may not have come to the recipient: then the mailbox is read, in its order.
    const mayMiss = this.#unlooked.delete(keyOf(network, recipient)) || hasMoved
    const isWhole = !mayMiss
    const shared = isShared ? { ...entry, isShared } : entry
    for (const place of takers) {
      if (isWhole) {
        this.#say(place.relay, { network, recipient, epoch: place.epoch, seq: entry.seq, isShared, entry: shared })
      } else this.#say(place.relay, anew(network, recipient, place.epoch))
    }
    const isHere = places.some((place) => place.relay === relay)
    if (network === SIGNALING_NETWORK && !isHere) own.doubt({ network, peer: recipient })
    if (places.length === 0 && !entry.slot) this.#isAway(network, recipient)
    return takers.length > 0
  }

  #say(relay: string, item: HandedOver): void {
    if (relay === this.#options.relay) this.take(item)
    else this.#options.handOver(relay, item)
  }

  /** It is stored; where its recipient is, is found out later. */
  #unlook({ network, recipient }: QueueEntry): boolean {
    this.#unlooked.set(keyOf(network, recipient), { network, peer: recipient })
    return false
  }

  #isAway(network: string, recipient: string): void {
    this.#options.releases.ended({ network, recipient, unreceipted: [], isLast: true })
  }
}

const anew = (network: string, recipient: string, epoch: number): HandedOver => ({
  ...{ network, recipient, epoch, seq: 0, isShared: false, entry: undefined }
})

function byPeer(places: readonly Place[]): Map<string, Place[]> {
  const found = new Map<string, Place[]>()
  for (const place of places) {
    const key = keyOf(place.network, place.peer)
    const known = found.get(key)
    if (known === undefined) found.set(key, [place])
    else known.push(place)
  }
  return found
}
