import { randomUUID } from 'node:crypto'
import type { Database } from '../database/database.ts'
import type { Recipients } from '../delivery/mailbox.ts'
import type { Member } from '../delivery/member.ts'
import type { Places } from '../delivery/places.ts'
import type { Releases } from '../delivery/releases.ts'
import type { Strangers } from '../delivery/strangers.ts'
import type { Page, PageOfPeers } from '../presence/names.ts'
import type { Registry } from '../presence/registry.ts'
import { encodePeerJoined, encodePeerLeft } from '../protocol/l2ps.ts'
import { encodePeerDisconnected, SIGNALING_NETWORK } from '../protocol/signaling.ts'
import { takeEntries } from '../store/queue-entry.ts'
import type { RelayRow } from '../store/relay.ts'
import { type PeerName, type Place, placesWithMail } from '../store/session-place.ts'
import { Batcher } from '../util/batcher.ts'
import { limitedLog } from '../util/limited-log.ts'
import type { Log } from '../util/log.ts'
import type { Bus, BusListener } from './bus.ts'
import { decodeHandOver, type HandedOver } from './hand-over.ts'
import { HandOverNumbers } from './hand-over-numbers.ts'
import { keepHouse } from './housekeeping.ts'
import { Lease } from './lease.ts'
import {
  type ClusterMessage,
  type ClusterQuestion,
  decodeAnswer,
  decodeMessage,
  decodeQuestion,
  encode
} from './messages.ts'
import { Missed } from './missed.ts'
import { Outbox } from './outbox.ts'
import { PeerPages } from './peer-pages.ts'
import { ClusterPlaces } from './places.ts'
import { ClusterRecipients } from './recipients.ts'
import { SharedReleases } from './shared-releases.ts'

export interface ClusterOptions {
  readonly database: Database
  readonly registry: Registry<Member>
  /** Name of the cluster. */
  readonly cluster: string
  /** What people call this relay. */
  readonly name: string
  readonly version: string
  /** Most sessions of one peer of an L2PS, in all relays. */
  readonly sessionsPerPeer: number
  readonly openBus: (listener: BusListener, relay: string) => Promise<Bus>
  /** Closes all sockets: this relay is cut off from the database, others are not. */
  readonly cutOff: () => void
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly log: Log
}

/** What other relays ask of this one, beside what it answers itself. */
export type Answerer = (question: ClusterQuestion) => Promise<unknown>

type Kind = ClusterMessage['kind']
type Message<K extends Kind> = Extract<ClusterMessage, { kind: K }>

const BEAT_MS = 1_000
/** A relay whose lease holds and that is not heard for so long may have sent what was lost, ms. */
const SILENT_MS = 3_000
/** How long a socket elsewhere may take to answer, its ping of 2 s included, ms. */
const ALIVE_MS = 2_500
const PING_MS = 2_000
/** Releases of a socket that gives way are waited for, ms at most. */
const RELEASES_MS = 400
/** Cut off from the database for so long, while other relays are not, a relay sends its peers to them, ms. */
const CUT_OFF_MS = 15_000
/** How often the places of this relay are compared with those that Postgres has, ms. */
const COMPARE_MS = 30_000
const SWEEP_MS = 60_000
const MOST_LOADED = 1_024

/**
 * This relay among others over one database. Postgres says who is where and holds every message; the bus says at once what
 * Postgres would say on the next look, and may lose it.
 *
 * Life: `start` (lease, bus, beats), then peers take places; `stop` after the last of them has left.
 */
export class Cluster {
  readonly id = randomUUID()
  readonly places: ClusterPlaces
  readonly shared: SharedReleases
  readonly numbers = new HandOverNumbers()
  readonly missed: Missed
  readonly lease: Lease
  readonly #options: ClusterOptions
  readonly #outbox: Outbox
  readonly #loading: Batcher<HandedOver & { readonly bytes: number }, HandedOver>
  readonly #listeners = new Map<Kind, ((message: never) => void)[]>()
  readonly #missedListeners: (() => void)[] = []
  readonly #pages: PeerPages
  #recipients: ClusterRecipients | undefined
  #releases: Releases | undefined
  #bus: Bus | undefined
  #answerer: Answerer | undefined
  /** What this relay says of all mailboxes, when it counts them. */
  queues: () => unknown = () => undefined
  /** Which relays say that the database answers them, and when they said so (ms, monotonic). */
  readonly #databaseAt = new Map<string, number>()
  /** Messages that other relays handed over since the start. */
  taken = 0
  #timer: NodeJS.Timeout | undefined
  #isRenewing = false
  #comparedAt = performance.now()
  #sweptAt = performance.now()
  /** Relays that were dead in the last round of the housekeeper. */
  readonly #dead = new Set<string>()
  #isCutOff = false

  constructor(options: ClusterOptions) {
    const { database, registry, log } = options
    this.#options = options
    this.shared = new SharedReleases({ database, relay: this.id, log })
    this.places = new ClusterPlaces({
      ...{
        database,
        registry,
        log: limitedLog(log),
        relay: this.id,
        shared: this.shared,
        sessionsPerPeer: options.sessionsPerPeer
      },
      isAliveAt: (place) => this.#isAliveAt(place),
      settledTo: () => this.lease.settledTo(performance.now()),
      announce: (peer, name, isConnected) => this.#announce(peer, name, isConnected)
    })
    this.missed = new Missed({ look: () => this.#look(), log })
    this.lease = new Lease({ database, relay: () => this.#self(), lapsed: () => this.places.reenter() })
    this.#pages = new PeerPages(database)
    this.#outbox = new Outbox({ relay: this.id, numbers: this.numbers, bus: () => this.#bus })
    this.#loading = this.#loader()
  }

  /** Name of the cluster. */
  get name(): string {
    return this.#options.cluster
  }

  get bus(): Bus | undefined {
    return this.#bus
  }

  /** Relays whose leases hold, this one included. */
  get relays(): readonly RelayRow[] {
    return this.lease.alive
  }

  /** Messages handed to other relays since the start. */
  get handedOver(): number {
    return this.#outbox.handedOver
  }

  /** One relay does what has to be done once: the first of those that are alive. */
  get isHousekeeper(): boolean {
    return this.lease.alive[0]?.id === this.id
  }

  /** Takes the lease, then opens the bus. Rejects when Postgres cannot be reached, or does not listen. */
  async start(): Promise<void> {
    await this.lease.renew()
    this.#bus = await this.#options.openBus(
      {
        message: (message) => this.#hear(message),
        answer: (question) => this.#answer(question),
        connected: () => {
          this.#comparedAt = Number.NEGATIVE_INFINITY
          this.#missed()
        },
        disconnected: () => {}
      },
      this.id
    )
    this.#timer = setInterval(() => this.#beat(), BEAT_MS)
  }

  /** The way to the sessions of all relays. Before the first peer enters. */
  recipients(releases: Releases, strangers: Strangers): Recipients & { readonly places: Places } {
    const { database, registry, log } = this.#options
    this.#releases = releases
    this.shared.use(releases)
    const recipients = new ClusterRecipients({
      ...{ database, relay: this.id, registry, releases, strangers, places: this.places },
      log: limitedLog(log),
      handOver: (relay, item) => this.#outbox.add(relay, item),
      mustRead: () => this.missed.owesLook || !this.lease.holds
    })
    this.#recipients = recipients
    return Object.assign(recipients, { places: this.places })
  }

  /** Hears messages of other relays. */
  on<K extends Kind>(kind: K, listener: (message: Message<K>) => void): void {
    this.#listeners.set(kind, [...(this.#listeners.get(kind) ?? []), listener])
  }

  /** Hears that something other relays said may have been missed. */
  onMissed(listener: () => void): void {
    this.#missedListeners.push(listener)
  }

  /** Tells all other relays. */
  tell(message: ClusterMessage extends infer M ? (M extends unknown ? Omit<M, 'from'> : never) : never): void {
    this.#bus?.broadcast(encode({ ...message, from: this.id }))
  }

  /** Answers what other relays ask of the sessions here. */
  answerBy(answerer: Answerer): void {
    this.#answerer = answerer
  }

  /** Asks another relay. Undefined: it did not answer within `ms`. */
  async ask(relay: string, question: ClusterQuestion, ms: number): Promise<unknown> {
    const answer = await this.#bus?.ask(relay, encode(question), ms)
    return answer instanceof Buffer ? decodeAnswer(answer) : undefined
  }

  /** The peers of a network that are connected anywhere, in the order of their names. */
  page(network: string, page: PageOfPeers): Promise<Page> {
    return this.#pages.page(network, page)
  }

  /** After the last session has left. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.shared.close()
    await this.lease.end().catch(() => {}) // it ends by itself
    await this.#bus?.close()
  }

  #self() {
    const { cluster, name, version } = this.#options
    return { id: this.id, cluster, name, version, listenerPid: this.#bus?.listenerPid ?? null }
  }

  #others(): string[] {
    return this.lease.alive.flatMap(({ id }) => (id === this.id ? [] : [id]))
  }

  #beat(): void {
    const now = performance.now()
    const others = this.#others()
    const { missed, numbers } = this
    const queues = this.isHousekeeper ? this.queues() : undefined
    this.tell({
      kind: 'beat',
      sent: numbers.sent(others),
      database: this.lease.unconfirmedMs < SILENT_MS,
      ...(queues === undefined ? {} : { queues })
    })
    missed.tick(this.#bus?.isConnected !== true || numbers.isAnySilent(others, now, SILENT_MS))
    this.#sendAwayWhenCutOff(now)
    void this.#renew()
  }

  async #renew(): Promise<void> {
    if (this.#isRenewing) return
    this.#isRenewing = true
    const { database, log } = this.#options
    try {
      await this.lease.renew()
      this.numbers.prune(new Set(this.#others()))
      await this.places.settle()
      await this.#recipients?.catchUp()
      if (this.isHousekeeper) {
        const away = await keepHouse(database, this.#dead, this.#isSweepDue())
        for (const peer of away) this.#announce(peer, peer.peer, false)
        for (const { network, peer } of away) {
          this.#releases?.ended({ network, recipient: peer, unreceipted: [], isLast: true })
        }
      }
      if (performance.now() - this.#comparedAt > COMPARE_MS) {
        this.#comparedAt = performance.now()
        await this.places.compare()
      }
    } catch (error) {
      log.debug({ err: error }, 'no beat')
    } finally {
      this.#isRenewing = false
    }
  }

  #isSweepDue(): boolean {
    const isDue = performance.now() - this.#sweptAt > SWEEP_MS
    if (isDue) this.#sweptAt = performance.now()
    return isDue
  }

  /** Only where another relay says that the database is fine: while it is away for all, nobody can take the peers. */
  #sendAwayWhenCutOff(now: number): void {
    const { cutOff, log } = this.#options
    const isFineElsewhere = [...this.#databaseAt.values()].some((at) => now - at < SILENT_MS)
    const isCutOff = this.lease.unconfirmedMs > CUT_OFF_MS && isFineElsewhere
    if (isCutOff && !this.#isCutOff) {
      log.error({}, 'cut off from the database while other relays are not: peers are sent to them')
      cutOff()
    }
    this.#isCutOff = isCutOff
  }

  #hear(message: Buffer): void {
    if (message[0] === OPENING_BRACKET) this.#take(message)
    else {
      const told = decodeMessage(message)
      if (told === undefined || told.from === this.id) return
      if (told.kind === 'beat') this.#heardBeat(told)
      if (told.kind === 'presence') this.#heardPresence(told)
      for (const listener of this.#listeners.get(told.kind) ?? []) listener(told as never)
    }
  }

  #heardBeat({ from, sent, database }: Message<'beat'>): void {
    const now = performance.now()
    if (database) this.#databaseAt.set(from, now)
    else this.#databaseAt.delete(from)
    if (this.numbers.beat(from, sent[this.id] ?? 0, now)) this.#missed()
  }

  /** Without a lease a peer here may have lost its place, and who has is sent nothing more. */
  #heardPresence({ changes }: Message<'presence'>): void {
    if (!this.lease.holds) return
    for (const [network, peer, name, isConnected] of changes) {
      this.#options.registry.announce(this.#announced({ network, peer }, name), isConnected)
    }
  }

  #take(message: Buffer): void {
    const handOver = decodeHandOver(message)
    if (handOver === undefined) return
    if (this.numbers.received(handOver.from, handOver.number, performance.now())) this.#missed()
    this.taken += handOver.items.length
    for (const item of handOver.items) {
      if (item.entry !== undefined || item.seq === 0) this.#recipients?.take(item)
      else {
        this.#loading.add({ ...item, bytes: 0 }, (loaded) => {
          if (typeof loaded === 'string') this.#missed()
          else if (loaded.entry !== undefined) this.#recipients?.take(loaded)
        })
      }
    }
  }

  /** Reads the bodies of messages that were handed over without, many at once. */
  #loader() {
    const { database } = this.#options
    const unbounded = Number.POSITIVE_INFINITY
    return new Batcher<HandedOver & { readonly bytes: number }, HandedOver>({
      write: async (items) => {
        const entries = await database.within(
          takeEntries(
            database.sql,
            items.map(({ seq }) => seq)
          )
        )
        const bySeq = new Map(entries.map((entry) => [entry.seq, entry]))
        return items.map((item) => {
          const entry = bySeq.get(item.seq)
          return { ...item, entry: entry && { ...entry, isShared: item.isShared } }
        })
      },
      limits: {
        ...{ batchItems: MOST_LOADED, batchBytes: unbounded, waitingItems: unbounded, waitingBytes: unbounded },
        ...{ deadlineMs: undefined }
      },
      failed: (error) => this.#options.log.error({ err: error }, 'a message of another relay was not taken')
    })
  }

  #missed(): void {
    this.missed.missed()
    for (const listener of this.#missedListeners) listener()
  }

  async #look(): Promise<void> {
    const { database, registry } = this.#options
    const peers = await database.within(placesWithMail(database.sql, this.id))
    for (const { network, peer } of peers) {
      for (const { delivery } of registry.sessions(network, peer)) delivery.rereadAll()
    }
  }

  async #isAliveAt({ relay, network, peer, epoch }: Place): Promise<boolean> {
    return (await this.ask(relay, { ask: 'alive', network, peer, epoch }, ALIVE_MS)) === 'alive'
  }

  async #answer(data: Buffer): Promise<Buffer> {
    const question = decodeQuestion(data)
    if (question === undefined) return encode(null)
    if (question.ask === 'alive') return encode((await this.#isAlive(question)) ? 'alive' : 'gone')
    return encode((await this.#answerer?.(question)) ?? null)
  }

  /** Does a socket of this client id answer here? One that does not is closed, and what it receipted is released first. */
  async #isAlive({ network, peer, epoch }: Extract<ClusterQuestion, { ask: 'alive' }>): Promise<boolean> {
    if (this.places.isEntering(network, peer) || (this.places.epochOf(network, peer) ?? 0) > epoch) return true
    for (const member of [...this.#options.registry.sessions(network, peer)]) {
      if (await member.session.isAlive(PING_MS)) return true
      member.dismiss('replaced')
    }
    await Promise.race([this.#releases?.drained(), sleep(RELEASES_MS)])
    return false
  }

  #announce(peer: PeerName, name: string, isConnected: boolean): void {
    this.#options.registry.announce(this.#announced(peer, name), isConnected)
    this.#outbox.announce([peer.network, peer.peer, name, isConnected])
  }

  #announced({ network, peer }: PeerName, name: string) {
    const { now } = this.#options
    return {
      ...{ network, peer },
      announcement: (change: 'joined' | 'left') => {
        if (network !== SIGNALING_NETWORK) return (change === 'joined' ? encodePeerJoined : encodePeerLeft)(name, now())
        return change === 'left' ? encodePeerDisconnected(name) : undefined
      }
    }
  }
}

const OPENING_BRACKET = 0x5b
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms).unref())
