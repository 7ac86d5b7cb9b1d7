import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { historyFrame, keyOf, type L2psPeer, sendFrame } from '../helpers/l2ps-peer.ts'
import { type Peer, quickSigner } from '../helpers/peer.ts'
import { startTestServer, type TestServer } from '../helpers/server.ts'
import { until } from '../helpers/wait.ts'

const SEQUENCES = 30
const OPERATIONS = 60
const NETWORKS = 3
const KEYS = 4

type Signer = L2psPeer['signer']
type Operation = {
  do: 'enter' | 'leave' | 'send' | 'discover' | 'history' | 'signal'
  network: number
  key: number
  to: number
}

const operation: fc.Arbitrary<Operation> = fc.record({
  do: fc.constantFrom('enter', 'enter', 'leave', 'send', 'send', 'send', 'discover', 'history', 'signal'),
  network: fc.nat(NETWORKS - 1),
  key: fc.nat(KEYS - 1),
  to: fc.nat(KEYS - 1)
})

/** One sequence in networks of its own: who is where, and what was said there. */
class World {
  readonly sessions = new Map<string, L2psPeer>()
  readonly said = new Map<string, Set<string>>()
  /** Who was ever in which network. */
  readonly seen = new Set<string>()
  heard = 0
  readonly uids: string[]
  readonly keys: string[]
  readonly #server: TestServer
  readonly #signers: Signer[]
  readonly #hub: Peer
  #count = 0

  constructor(server: TestServer, signers: Signer[], hub: Peer, round: number) {
    this.#server = server
    this.#signers = signers
    this.#hub = hub
    this.keys = signers.map(keyOf)
    this.uids = Array.from({ length: NETWORKS }, (_, network) => `net-${round}-${network}`)
  }

  async run({ do: what, network, key, to }: Operation): Promise<void> {
    const uid = this.uids[network]!
    const place = `${uid} ${key}`
    const session = this.sessions.get(place)
    if (what === 'signal') return this.#signal(key)
    if (what === 'enter' && session === undefined) return this.#enter(uid, key, place)
    if (session === undefined) return
    if (what === 'leave') {
      this.#check(place, session)
      await this.#leave(session, uid)
      this.sessions.delete(place)
    } else if (what === 'send' && to !== key) await this.#send(session, uid, this.keys[to]!)
    else if (what === 'discover') {
      const { payload } = await session.answerTo(session.send('discover', {}))
      assert.deepEqual(new Set(payload.peers), this.#here(uid))
    } else if (what === 'history') await this.#history(session, uid, key, to)
  }

  async #enter(uid: string, key: number, place: string): Promise<void> {
    const session = await this.#server.l2psPeer()
    const { payload } = await session.register(uid, this.#signers[key]!)
    assert.deepEqual(new Set(payload.onlinePeers), this.#here(uid))
    this.sessions.set(place, session)
    this.seen.add(`${uid} ${this.keys[key]}`)
  }

  /** The server notices a moment after the socket has closed here. */
  async #leave(session: L2psPeer, uid: string): Promise<void> {
    await session.close()
    const { presence } = this.#server.app
    await until('the server has noticed who left', () => presence.sessions(uid, session.key).length === 0)
  }

  async #send(session: L2psPeer, uid: string, to: string): Promise<void> {
    const body = `${uid} to ${to} #${++this.#count}`
    const answer = await session.answerTo(session.send(sendFrame(to, body, 'one hash for all'.concat(body))))
    assert.ok(answer.type === 'message_sent' || answer.type === 'message_queued', JSON.stringify(answer))
    const conversation = [uid, session.key, to].join()
    this.said.set(conversation, (this.said.get(conversation) ?? new Set()).add(body))
  }

  /** A signaling peer of another name speaks to a client id that is spelled like the key. */
  async #signal(key: number): Promise<void> {
    this.#hub.send({ type: 'message', payload: { targetId: this.keys[key], message: 'from signaling' } })
    assert.equal((await this.#hub.next()).type, 'message_queued')
  }

  async #history(session: L2psPeer, uid: string, key: number, to: number): Promise<void> {
    const [mine, theirs] = [this.keys[key]!, this.keys[to]!]
    const { payload } = await session.answerTo(session.send(await historyFrame(session.signer, theirs, { limit: 200 })))
    const found = payload.messages.map((message: { encrypted: { ciphertext: string } }) => message.encrypted.ciphertext)
    const said = [[uid, mine, theirs].join(), [uid, theirs, mine].join()].flatMap((way) => [
      ...(this.said.get(way) ?? [])
    ])
    assert.deepEqual(new Set(found), new Set(said))
  }

  #here(uid: string): Set<string> {
    return new Set(
      [...this.sessions.keys()]
        .filter((place) => place.startsWith(`${uid} `))
        .map((place) => this.keys[Number(place.split(' ')[1])]!)
    )
  }

  /** Everything a session heard belongs to its network, and is for it or about one of its peers. */
  #check(place: string, session: L2psPeer): void {
    const uid = place.split(' ')[0]!
    for (const { type, payload } of session.inbox) {
      this.heard += 1
      if (type === 'message') assert.ok(payload.encrypted.ciphertext.startsWith(`${uid} to ${session.key} `))
      else assert.ok(/^peer_(joined|left)$/.test(type) && this.seen.has(`${uid} ${payload.publicKey}`), type)
    }
  }

  /** Whoever is left hears of one more who comes: what was told before has been heard by then, also after a storm of changes. */
  async end(): Promise<void> {
    for (const uid of this.uids) {
      const place = `${uid} ${KEYS}`
      await this.#enter(uid, KEYS, place)
      const others = [...this.sessions].filter(([other]) => other !== place && other.startsWith(`${uid} `))
      for (const [, { inbox }] of others) {
        const isNews = ({ type, payload }: L2psPeer['inbox'][number]) =>
          type === 'peer_joined' && payload.publicKey === this.keys[KEYS]
        await until('the last one who came was announced', () => inbox.some(isNews))
      }
    }
    for (const [place, session] of this.sessions) {
      this.#check(place, session)
      await session.close()
    }
  }
}

test('nothing crosses from one network to another, whatever the same keys do in all of them', async (t) => {
  const server = await startTestServer(t, { L2PS_QUOTA_PER_SENDER: 10_000, SIGNALING_QUOTA_PER_SENDER: 10_000 })
  const signers = await Promise.all(Array.from({ length: KEYS + 1 }, () => quickSigner()))
  const hub = await server.join('hub')
  let [round, operations, heard] = [0, 0, 0]
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { minLength: OPERATIONS, maxLength: OPERATIONS }), async (sequence) => {
      const world = new World(server, signers, hub, round++)
      await server.addNetworks(...world.uids)
      for (const each of sequence) {
        await world.run(each)
        operations += 1
      }
      await world.end()
      heard += world.heard
    }),
    { numRuns: SEQUENCES }
  )
  t.diagnostic(`${round} sequences, ${operations} operations, ${heard} frames heard`)
  assert.ok(heard > 100)
})
