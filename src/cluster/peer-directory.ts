import { type Static, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import type { Database } from '../database/database.ts'
import type { Member } from '../delivery/member.ts'
import { PEER_ORDERS, type PeerSort, peerOrder, peersWithValues, type SortedPeer } from '../delivery/peer-order.ts'
import { factsOf, SessionFacts } from '../delivery/session-facts.ts'
import { compareNames } from '../presence/names.ts'
import type { Registry } from '../presence/registry.ts'
import { countPeers, listPlaces, type PlaceFilter, placesOfPeer, type ShownPlace } from '../store/place-overview.ts'
import type { PeerName } from '../store/session-place.ts'
import type { Cluster } from './cluster.ts'
import type { ClusterQuestion } from './messages.ts'

/** A peer and the relays at which it has sessions, as the database has them. */
export interface PlacedPeer extends PeerName {
  readonly relays: readonly { readonly id: string; readonly name: string; readonly sessions: number }[]
}

/** A session, and the relay that has it. */
export interface PlacedSession extends SessionFacts {
  readonly relay: string
  readonly relayId: string
}

export interface PeerDetails extends PlacedPeer {
  readonly sessions: readonly PlacedSession[]
  /** A relay did not answer: its sessions are not among these. */
  readonly isUnanswered: boolean
}

/** A peer at a relay, sorted among those of all relays. */
export interface SortedAtRelay extends SortedPeer {
  readonly relay: string
}

type Named = Pick<PlacedPeer['relays'][number], 'id' | 'name'>
type Top = Extract<ClusterQuestion, { ask: 'top' }>

/** Longest that another relay may take to answer, ms. */
const ANSWER_MS = 1_000
/** Peers in one question: the answer has to fit into a message of any bus. */
const ASKED_PEERS = 50

const SessionsAnswer = TypeCompiler.Compile(Type.Array(Type.Array(SessionFacts)))
const TopAnswer = Type.Object({
  total: Type.Integer({ minimum: 0 }),
  peers: Type.Array(Type.Tuple([Type.String(), Type.String(), Type.Number()]))
})
const checkedTop = TypeCompiler.Compile(TopAnswer)
const CloseAnswer = TypeCompiler.Compile(Type.Integer({ minimum: 0 }))

/**
 * The peers of all relays, for administrators: who is where says the database, what their sessions do each relay says of
 * its own. A relay that does not answer within a second is named.
 */
export class PeerDirectory {
  readonly #cluster: Cluster
  readonly #database: Database
  readonly #registry: Registry<Member>

  constructor(cluster: Cluster, database: Database, registry: Registry<Member>) {
    this.#cluster = cluster
    this.#database = database
    this.#registry = registry
    cluster.answerBy(async (question) => this.#answer(question))
  }

  /** In the order of their names: those after one. Rejects with `query_canceled` after `ms`. */
  async list(
    filter: PlaceFilter,
    after: PeerName | undefined,
    options: { readonly limit: number; readonly isDescending: boolean; readonly ms: number }
  ): Promise<PlacedPeer[]> {
    return grouped(await this.#database.within(listPlaces(this.#database.sql, filter, after, options)))
  }

  count(filter: PlaceFilter, ms: number): Promise<number> {
    return this.#database.within(countPeers(this.#database.sql, filter, ms))
  }

  /** Undefined: it is connected nowhere. */
  async find(name: PeerName): Promise<PlacedPeer | undefined> {
    const [peer] = grouped(await this.#database.within(placesOfPeer(this.#database.sql, name)))
    return peer
  }

  /**
   * The first `limit` peers of all relays in an order that only the relays know, after a place in it; and how many there
   * are. A peer with sessions at two relays is there twice, each with its value at that relay.
   */
  async top(
    filter: PlaceFilter,
    sort: PeerSort,
    after: SortedAtRelay | undefined,
    limit: number
  ): Promise<{ peers: SortedAtRelay[]; total: number; unanswered: string[] }> {
    const inOrder = byRelay(sort)
    const question = { ask: 'top' as const, ...given(filter), ...sort, limit }
    const unanswered: string[] = []
    const { relay = '' } = filter
    const relays = this.#cluster.relays.filter(({ id, name }) => relay === '' || relay === id || relay === name)
    const answers = await Promise.all(
      relays.map(async ({ id, name }) => {
        const isFirst = after !== undefined && compareNames(id, after.relay) > 0
        const place: Pick<Top, 'after' | 'isFirst'> =
          after === undefined ? {} : { after: [after.network, after.peer, after.value], isFirst }
        const answer = await this.#ask(id, { ...question, ...place })
        if (checkedTop.Check(answer)) return { ...answer, id }
        unanswered.push(name)
        return { id, total: 0, peers: [] }
      })
    )
    const peers = answers.flatMap(({ id, peers }) =>
      peers.map(([network, peer, value]) => ({ network, peer, value, relay: id }))
    )
    const total = answers.reduce((sum, answer) => sum + answer.total, 0)
    return { peers: peers.sort(inOrder).slice(0, limit), total, unanswered }
  }

  /** At one relay, as `top` found it. */
  placed({ network, peer, relay }: SortedAtRelay): PlacedPeer {
    const name = this.#cluster.relays.find(({ id }) => id === relay)?.name ?? relay
    return { network, peer, relays: [{ id: relay, name, sessions: 0 }] }
  }

  /** With their sessions; without those that have left meanwhile. */
  async details(peers: readonly PlacedPeer[]): Promise<PeerDetails[]> {
    const relays = new Map<string, PlacedPeer[]>()
    for (const peer of peers) {
      for (const { id } of peer.relays) relays.set(id, [...(relays.get(id) ?? []), peer])
    }
    const found = new Map<string, readonly SessionFacts[] | undefined>()
    await Promise.all(
      [...relays].map(async ([id, at]) => {
        const sessions = await this.#sessions(id, at)
        for (const [place, peer] of at.entries()) found.set(keyAt(id, peer), sessions[place])
      })
    )
    return peers.flatMap((peer) => {
      const details = detailsOf(peer, ({ id }) => found.get(keyAt(id, peer)))
      return details.sessions.length > 0 || details.isUnanswered ? details : []
    })
  }

  /**
   * Closes the sessions of a peer at all its relays; says which of them did not answer. Where the database does not say
   * which relays these are, every relay is asked.
   */
  async close({ network, peer }: PeerName): Promise<{ closed: number; unanswered: string[] }> {
    const question = { ask: 'close' as const, network, peer }
    const here = this.#close(question)
    const relays: readonly Named[] = await this.find(question).then(
      (found) => found?.relays ?? [],
      () => this.#cluster.relays
    )
    const unanswered: string[] = []
    const elsewhere = relays.filter(({ id }) => id !== this.#cluster.id)
    const closed = await Promise.all(
      elsewhere.map(async ({ id, name }) => {
        const answer = await this.#ask(id, question)
        if (CloseAnswer.Check(answer)) return answer
        unanswered.push(name)
        return 0
      })
    )
    return { closed: closed.reduce((sum, each) => sum + each, here), unanswered }
  }

  /** The sessions of peers at a relay, in their order; undefined for those it did not answer of. */
  async #sessions(relay: string, peers: readonly PeerName[]): Promise<(readonly SessionFacts[] | undefined)[]> {
    const slices: PeerName[][] = []
    for (let at = 0; at < peers.length; at += ASKED_PEERS) slices.push(peers.slice(at, at + ASKED_PEERS))
    const answers = await Promise.all(
      slices.map(async (slice) => {
        const asked = slice.map(({ network, peer }): [string, string] => [network, peer])
        const answer = await this.#ask(relay, { ask: 'sessions', peers: asked })
        return SessionsAnswer.Check(answer) && answer.length === slice.length ? answer : slice.map(() => undefined)
      })
    )
    return answers.flat()
  }

  async #ask(relay: string, question: ClusterQuestion): Promise<unknown> {
    return relay === this.#cluster.id ? this.#answer(question) : this.#cluster.ask(relay, question, ANSWER_MS)
  }

  /** What this relay says of its own. */
  #answer(question: ClusterQuestion): unknown {
    if (question.ask === 'sessions') {
      return question.peers.map(([network, peer]) => this.#registry.sessions(network, peer).map(factsOf))
    }
    if (question.ask === 'close') return this.#close(question)
    return question.ask === 'top' ? this.#top(question) : null
  }

  #close({ network, peer }: PeerName): number {
    const members = [...this.#registry.sessions(network, peer)]
    for (const member of members) member.dismiss('dismissed')
    return members.length
  }

  #top({ network, search, key: wanted, isDescending, after, isFirst, limit }: Top): Static<typeof TopAnswer> | null {
    const key = PEER_ORDERS.find((order) => order === wanted)
    if (key === undefined) return null
    const inOrder = peerOrder({ key, isDescending })
    const all = peersWithValues(this.#registry, { network, search }, key)
    const least = isFirst ? 0 : 1
    const isAfter = (peer: SortedPeer) =>
      after === undefined || inOrder(peer, { network: after[0], peer: after[1], value: after[2] }) >= least
    const peers = all.filter(isAfter).sort(inOrder).slice(0, limit)
    return { total: all.length, peers: peers.map(({ network, peer, value }) => [network, peer, value]) }
  }
}

const given = ({ network, search }: PlaceFilter) => ({
  ...(network === undefined ? {} : { network }),
  ...(search === undefined ? {} : { search })
})

/** Equal places at two relays: in the order of the relays' ids. */
function byRelay(sort: PeerSort): (a: SortedAtRelay, b: SortedAtRelay) => number {
  const inOrder = peerOrder(sort)
  return (a, b) => inOrder(a, b) || compareNames(a.relay, b.relay)
}

const keyAt = (relay: string, { network, peer }: PeerName) => `${relay} ${network} ${peer}`

function detailsOf(peer: PlacedPeer, sessionsAt: (relay: Named) => readonly SessionFacts[] | undefined): PeerDetails {
  const sessions = peer.relays.flatMap((relay) =>
    (sessionsAt(relay) ?? []).map((facts) => ({ ...facts, relay: relay.name, relayId: relay.id }))
  )
  return { ...peer, sessions, isUnanswered: peer.relays.some((relay) => sessionsAt(relay) === undefined) }
}

/** Places that come in the order of their peers. */
function grouped(places: readonly ShownPlace[]): PlacedPeer[] {
  const peers: (PeerName & { relays: { id: string; name: string; sessions: number }[] })[] = []
  for (const { network, peer, relay, relayName, sessions } of places) {
    const place = { id: relay, name: relayName, sessions }
    const last = peers.at(-1)
    if (last?.network === network && last.peer === peer) last.relays.push(place)
    else peers.push({ network, peer, relays: [place] })
  }
  return peers
}
