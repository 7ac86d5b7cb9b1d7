import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { wrongQuotas } from '../chaos/database-check.ts'
import { createTestDatabase } from '../helpers/database.ts'
import { keyOf, type L2psPeer, registerFrame } from '../helpers/l2ps-peer.ts'
import { startTestServer, type TestServer } from '../helpers/server.ts'
import { until } from '../helpers/wait.ts'
import { type Model, PEERS, QUOTA, slotsOf, TTL_MS } from './model.ts'

/** The server that the model is about, and its peers. */
export interface Real {
  reset(network: string, signers: readonly L2psPeer['signer'][]): Promise<void>
  /** Registers; fails when the first frame is another one. */
  enter(peer: number): Promise<void>
  line(peer: number): L2psPeer
  keyOf(peer: number): string
  leave(peer: number): Promise<void>
  restart(): Promise<void>
  /** The next message the peer hears, by its hash; acknowledged by its place later. */
  nextMessage(peer: number): Promise<string>
  /** Makes a round trip; fails when a message came that was not expected. */
  nothingMore(peer: number): Promise<void>
  /** Acknowledges everything up to this message. */
  acknowledge(peer: number, id: string): void
  advance(ms: number): void
  expire(): Promise<number>
  forget(ms: number): Promise<void>
  /** Waits until the mailboxes hold what the model says, and compares the quotas. */
  agree(model: Model): Promise<void>
  /** How often they agreed. */
  readonly agreed: number
}

/** Far in the past or future, no matter: the server's clock is ours. */
const BEGINNING = 1_700_000_000_000

export async function openReal(t: TestContext): Promise<Real> {
  const { url, sql } = await createTestDatabase(t)
  const settings = { DATABASE_URL: url, L2PS_QUOTA_PER_SENDER: QUOTA, QUEUE_TTL_SECONDS: TTL_MS / 1_000 }
  let clock = BEGINNING
  let proofs = 0
  let agreed = 0
  let network = ''
  let signers: readonly L2psPeer['signer'][] = []
  let lines: (L2psPeer | undefined)[] = []
  const places = new Map<string, number>()
  const start = (): Promise<TestServer> => startTestServer(t, settings, { now: () => clock })
  let server = await start()

  const line = (peer: number) => lines[peer] ?? assert.fail(`peer ${peer} is not here`)
  const key = (peer: number) => keyOf(signers[peer]!)
  const leave = async (peer: number) => {
    lines[peer]?.terminate()
    lines[peer] = undefined
    const { presence } = server.app
    await until('the server has seen it go', () => presence.sessions(network, key(peer)).length === 0)
    await server.app.mailboxes.drained() // the places of what it leaves behind are counted
  }
  return {
    line,
    keyOf: key,
    leave,
    reset: async (name, newSigners) => {
      for (const [peer, old] of lines.entries()) if (old !== undefined) await leave(peer)
      await server.app.mailboxes.drained()
      await sql`truncate audit_inbox, queue_entry, quota, message`
      lines = []
      signers = newSigners
      network = name
      await server.addNetworks(name)
    },
    enter: async (peer) => {
      const entered = await server.l2psPeer()
      lines[peer] = entered
      const frame = await registerFrame(signers[peer]!, network, { timestamp: clock + ++proofs })
      const requestId = entered.send({ ...frame, payload: { ...frame.payload, features: ['ack'] } } as never)
      const reply = await entered.next()
      assert.equal(reply.type, 'registered', JSON.stringify(reply))
      assert.equal(reply.requestId, requestId)
    },
    restart: async () => {
      await server.close()
      lines = []
      server = await start()
    },
    nextMessage: async (peer) => {
      const { payload } = await line(peer).next('message')
      places.set(`${peer} ${payload.messageHash}`, payload.seq)
      return payload.messageHash
    },
    nothingMore: async (peer) => {
      const here = line(peer)
      await here.answerTo(here.send('discover', {}))
      assert.deepEqual(
        here.inbox.filter(({ type }) => type === 'message'),
        []
      )
    },
    acknowledge: (peer, id) => {
      line(peer).send('ack', { seq: places.get(`${peer} ${id}`) })
    },
    advance: (ms) => {
      clock += ms
    },
    expire: () => server.app.mailboxes.expire(),
    forget: async (ms) => {
      // What has no record yet is kept until it has.
      const isRecorded = async () => (await sql`select from audit_inbox where message_seqs is not null`).count === 0
      await until('every message has its record', isRecorded, 10_000)
      await server.app.mailboxes.forget(ms)
    },
    agree: async (model) => {
      const expected = model.mailboxes.map((entries) => entries.map(({ id }) => id))
      let held: string[][] = []
      const isSame = async () => {
        held = await mailboxes()
        return JSON.stringify(held) === JSON.stringify(expected)
      }
      await until('', isSame, 5_000).catch(() => assert.deepEqual(held, expected))
      assert.deepEqual(await wrongQuotas(sql as never), [])
      const counted = await slots()
      assert.deepEqual(
        counted,
        model.here.map((_, peer) => slotsOf(model, peer))
      )
      agreed += 1
    },
    get agreed() {
      return agreed
    }
  }

  /** The hashes in each peer's mailbox, in order. */
  async function mailboxes(): Promise<string[][]> {
    const rows = await sql<{ recipient: string; hash: string }[]>`
      select queue_entry.recipient, message_hash as hash from queue_entry join message using (seq)
      where queue_entry.network = ${network} order by seq`
    return Array.from({ length: PEERS }, (_, peer) =>
      rows.filter(({ recipient }) => recipient === key(peer)).map(({ hash }) => hash)
    )
  }

  async function slots(): Promise<number[]> {
    const rows = await sql<{ peer: string; entries: number }[]>`
      select peer, entries from quota where network = ${network} and role = 'sender'`
    return Array.from({ length: PEERS }, (_, peer) => rows.find((row) => row.peer === key(peer))?.entries ?? 0)
  }
}
