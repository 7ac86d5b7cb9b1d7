// Somebody else holds tables for longer than a peer is to wait: a migration by hand, a backup, a forgotten transaction.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { createTestDatabase } from '../helpers/database.ts'
import { historyFrame, keyOf, type L2psFrame, type L2psPeer, registerFrame, sendFrame } from '../helpers/l2ps-peer.ts'
import { registerFrame as hubRegisterFrame, type Peer, quickIdentity, quickSigner } from '../helpers/peer.ts'
import { type Settings, startTestServer, type TestServer } from '../helpers/server.ts'
import { until } from '../helpers/wait.ts'

const DEADLINE_MS = 2_000
/** For two deadlines in a row and more. */
const LOCKED_MS = 4 * DEADLINE_MS
/** The deadline, and what a busy machine adds to it; less than two deadlines. */
const IN_TIME_MS = 1.75 * DEADLINE_MS
const PATIENCE_MS = 60_000
const PEERS = 6
const NETWORK = 'locked'
const REQUEST_FAILED = { code: 'INTERNAL_ERROR', message: 'The server cannot do this now. Please try again.' }
const REGISTER_FAILED = ['INTERNAL_ERROR', 'Failed to complete registration. Please try again.']
const L2PS_STORE_FAILED = { code: 'INTERNAL_ERROR', message: 'The message could not be stored. Please try again.' }
const STORE_FAILED = ['INTERNAL_ERROR', 'Failed to store message. Please try again.']

/** Locks tables until `release`. */
async function lockTables(
  t: TestContext,
  sql: Awaited<ReturnType<typeof createTestDatabase>>['sql'],
  tables: string,
  mode: string
) {
  const holder = await sql.reserve()
  await holder.unsafe(`begin; set local statement_timeout = 0; lock table ${tables} in ${mode} mode`)
  let isHeld = true
  const release = async () => {
    if (!isHeld) return
    isHeld = false
    await holder.unsafe('rollback')
    holder.release()
  }
  t.after(release)
  return { sql, release }
}

async function startLockable(t: TestContext, settings: Settings = {}) {
  const database = await createTestDatabase(t)
  const server = await startTestServer(t, {
    ...{ DATABASE_URL: database.url, DATABASE_DEADLINE_MS: DEADLINE_MS, DATABASE_POOL_SIZE: 6 },
    ...{ SIGNALING_QUOTA_PER_SENDER: 10_000, L2PS_QUOTA_PER_SENDER: 10_000 },
    ...{ WORK_PER_SOCKET: 0, WORK_PER_ADDRESS: 0, WORK_PER_IDENTITY: 0 },
    ...settings
  })
  await server.addNetworks(NETWORK)
  return { server, lock: (tables: string, mode = 'access exclusive') => lockTables(t, database.sql, tables, mode) }
}

const reasonOf = async ({ app }: TestServer, part: string) =>
  ((await app.inject('/health/ready')).json().failing ?? []).find((each: { part: string }) => each.part === part)
    ?.reason

test('while a table is locked every sender is answered by the deadline, and what was acknowledged arrives', async (t) => {
  const { server, lock } = await startLockable(t)
  const [bob, eve] = [await quickIdentity(), await quickSigner()]
  await (await server.join('bob', bob)).close()
  const acknowledged = { bob: new Set<string>(), eve: new Set<string>() }
  const waits: number[] = []
  let isOver = false

  const talk = async (each: () => Promise<boolean>) => {
    for (let failed = false; !isOver || failed; ) {
      const since = performance.now()
      failed = !(await each())
      waits.push(performance.now() - since)
      await delay(20)
    }
  }
  const hubSender = async (name: string) => {
    const peer = await server.join(name)
    let n = 0
    return async () => {
      const text = `${name} ${++n}`
      peer.send({ type: 'message', payload: { targetId: 'bob', message: { text } } })
      const { type, payload } = await peer.next(undefined, PATIENCE_MS)
      if (type === 'message_queued') acknowledged.bob.add(text)
      else assert.deepEqual([payload.errorType, payload.details], STORE_FAILED)
      return type === 'message_queued'
    }
  }
  const l2psSender = async () => {
    const peer = await server.enter(NETWORK)
    return async () => {
      const frame = sendFrame(keyOf(eve))
      const { type, payload } = await peer.answerTo(peer.send(frame), PATIENCE_MS)
      if (type === 'message_queued') acknowledged.eve.add(frame.payload.messageHash)
      else assert.deepEqual(payload, L2PS_STORE_FAILED)
      return type === 'message_queued'
    }
  }
  const senders = await Promise.all(
    Array.from({ length: PEERS }, (_, n) => (n % 2 === 0 ? hubSender(`sender-${n}`) : l2psSender()))
  )
  const talking = Promise.all(senders.map(talk))
  await until('messages are stored', () => acknowledged.bob.size > PEERS && acknowledged.eve.size > PEERS)
  const { release } = await lock('queue_entry')
  await until('readiness says so', async () => (await reasonOf(server, 'writes')) === 'a table is locked')
  await delay(LOCKED_MS)
  await release()
  isOver = true // each goes on until its next message is stored
  await talking

  t.diagnostic(`${waits.length} messages, the longest wait ${Math.round(Math.max(...waits))} ms`)
  assert.ok(Math.max(...waits) > DEADLINE_MS / 2, 'nobody had to wait')
  assert.ok(Math.max(...waits) < IN_TIME_MS, `somebody waited ${Math.max(...waits)} ms`)
  await until('it is ready again', async () => (await reasonOf(server, 'writes')) === undefined)
  const back = await server.join('bob', bob)
  await gathered(back, acknowledged.bob, ({ payload }) => payload.message.text)
  const away = await server.enter(NETWORK, eve)
  await gathered(away, acknowledged.eve, ({ payload }) => payload.messageHash)
})

// biome-ignore lint/suspicious/noExplicitAny: a test states what it expects by reading it
async function gathered(peer: Peer | L2psPeer, wanted: ReadonlySet<string>, nameOf: (frame: any) => string) {
  const missing = new Set(wanted)
  while (missing.size > 0) missing.delete(nameOf(await peer.next('message', PATIENCE_MS)))
}

test('while tables are locked registrations and pages of history are refused by the deadline, and go on after it', async (t) => {
  const { server, lock } = await startLockable(t)
  const reader = await server.enter(NETWORK)
  const [bob, eve] = [await quickIdentity(), await quickSigner()]
  const [hub, door] = [await server.peer(), await server.l2psPeer()]
  const waits: number[] = []
  /** Asks until it is granted; how often it was refused. */
  const persist = async (ask: () => Promise<boolean>): Promise<number> => {
    for (let refused = 0; ; refused++) {
      const since = performance.now()
      const isGranted = await ask()
      waits.push(performance.now() - since)
      if (isGranted) return refused
      await delay(20)
    }
  }
  const register = async () => {
    hub.send(await hubRegisterFrame('bob', bob))
    const { type, payload } = await hub.next(undefined, PATIENCE_MS)
    if (type !== 'register') assert.deepEqual([payload.errorType, payload.details], REGISTER_FAILED)
    return type === 'register'
  }
  const ask = async (peer: L2psPeer, frame: L2psFrame, answer: string) => {
    const { type, payload } = await peer.answerTo(peer.send(frame), PATIENCE_MS)
    if (type !== answer) assert.deepEqual(payload, REQUEST_FAILED)
    return type === answer
  }

  const { release } = await lock('queue_entry, identity, message')
  const asking = Promise.all([
    persist(register),
    persist(async () => ask(door, await registerFrame(eve, NETWORK), 'registered')),
    persist(async () => ask(reader, await historyFrame(reader.signer, keyOf(eve)), 'history_response'))
  ])
  await delay(LOCKED_MS)
  await release()
  const refused = await asking
  t.diagnostic(`refused ${refused.join(', ')} times, the longest wait ${Math.round(Math.max(...waits))} ms`)
  assert.ok(Math.min(...refused) > 0, 'nobody was refused')
  assert.ok(Math.max(...waits) < IN_TIME_MS, `somebody waited ${Math.max(...waits)} ms`)
})

/** How long a peer waits for the answer to its registration, in ms; it is refused. */
async function refusedAfter(peer: Peer, frame: object): Promise<number>
async function refusedAfter(peer: L2psPeer, frame: L2psFrame): Promise<number>
async function refusedAfter(peer: Peer | L2psPeer, frame: object): Promise<number> {
  const since = performance.now()
  peer.send(frame as L2psFrame)
  const { type, payload } = await peer.next(undefined, PATIENCE_MS)
  assert.deepEqual([type, payload.errorType ?? payload.code], ['error', 'INTERNAL_ERROR'])
  return performance.now() - since
}

/** A registration meets a table that was locked and, once that is free, another one; what it waits for in all, in ms. */
async function waitsFor(release: () => Promise<void>, waiting: Promise<number>): Promise<number> {
  await delay(0.9 * DEADLINE_MS)
  await release()
  return waiting
}

test('a registration that meets one locked table after the other is refused by the deadline', async (t) => {
  const { server, lock } = await startLockable(t)
  const hub = await server.peer()
  const frame = await hubRegisterFrame('bob', await quickIdentity())
  // Who owns the name is read from both; then the registration is written.
  const [first, second] = [await lock('queue_entry'), await lock('identity', 'share')]
  const waited = await waitsFor(first.release, refusedAfter(hub, frame))
  await second.release()
  t.diagnostic(`waited ${Math.round(waited)} ms`)
  assert.ok(waited < IN_TIME_MS, `it waited ${waited} ms`)
  await until('the next one is granted', async () => {
    hub.send(frame)
    return (await hub.next(undefined, PATIENCE_MS)).type === 'register'
  })
})

test('a registration in a cluster that meets one locked table after the other is refused by the deadline', async (t) => {
  const { server, lock } = await startLockable(t, { CLUSTER_NAME: 'locked', RELAY_NAME: 'locked-1' })
  const door = await server.l2psPeer()
  const signer = await quickSigner()
  const frame = await registerFrame(signer, NETWORK)
  const [first, second] = [await lock('identity'), await lock('session')]
  const waited = await waitsFor(first.release, refusedAfter(door, frame))
  await second.release()
  t.diagnostic(`waited ${Math.round(waited)} ms`)
  assert.ok(waited < IN_TIME_MS, `it waited ${waited} ms`)
  await until('the next one is granted', async () => {
    const { type } = await door.answerTo(door.send(await registerFrame(signer, NETWORK)), PATIENCE_MS)
    return type === 'registered'
  })
})

test('a message that was given up and is stored even so is delivered at once', async (t) => {
  const { server, lock } = await startLockable(t)
  const [alice, bob, carol] = [await server.join('alice'), await server.join('bob'), await server.join('carol')]
  const send = (peer: Peer, text: string) =>
    peer.send({ type: 'message', payload: { targetId: 'carol', message: { text } } })
  const { sql, release } = await lock('queue_entry')
  send(alice, 'its statement runs into the limit')
  const waits = () => sql`
    select from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock' and query like '%insert into queue_entry%'`
  await until('its statement waits', async () => (await waits()).length > 0)
  send(bob, 'the next one')
  for (const peer of [alice, bob]) {
    const { payload } = await peer.next(undefined, PATIENCE_MS)
    assert.deepEqual([payload.errorType, payload.details], STORE_FAILED)
  }
  await release()
  assert.deepEqual((await carol.next('message')).payload.message, { text: 'the next one' })
  await carol.nothingMore()
})
