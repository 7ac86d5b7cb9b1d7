import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { WebSocket } from 'ws'
import type { WebSocketConstructor } from '../../client/src/index.ts'
import { clientFor } from '../client/l2ps-clients.ts'
import { quickSigner } from '../helpers/peer.ts'
import { startTestServer } from '../helpers/server.ts'
import { post, Receiver } from './channel.ts'

const CHANNEL = 'channel 1'
const COUNT = 150
const subnetKey = crypto.getRandomValues(new Uint8Array(32))

async function member(t: TestContext, url: string, webSocket?: WebSocketConstructor) {
  const signer = await quickSigner()
  const client = await clientFor(t, { url, signer, webSocket })
  return { client, signer, receiver: new Receiver(client, CHANNEL, subnetKey) }
}

type Member = Awaited<ReturnType<typeof member>>

/** Sends envelopes from..to to the others, each awaited; returns the status of each, by receiver. */
async function say({ client, signer }: Member, others: Member[], from: number, to: number) {
  const keys = others.map((other) => other.client.publicKey)
  const statuses: string[][] = keys.map(() => [])
  for (let sequence = from; sequence <= to; sequence++) {
    const envelope = { channelId: CHANNEL, sequence, body: { text: `number ${sequence}` } }
    const round = await post(client, signer, keys, subnetKey, envelope)
    for (const [i, status] of round.entries()) statuses[i]!.push(status)
  }
  return statuses
}

/** Every message came, in order. The server keeps the order of one sender, so the receiver had nothing to reorder. */
async function assertComplete({ receiver }: Member, count: number) {
  const wanted = Array.from({ length: count }, (_, i) => i + 1)
  assert.deepEqual(
    (await receiver.complete(count)).map(({ sequence }) => sequence),
    wanted
  )
  assert.deepEqual([...new Set(receiver.arrivals.map(({ sequence }) => sequence))], wanted)
}

async function startChannel(t: TestContext) {
  const server = await startTestServer(t)
  await server.addNetworks('net')
  const url = server.addresses.l2ps!
  return { server, url, alice: await member(t, url), bob: await member(t, url) }
}

test('a channel of three with one member away: every member receives every message, in order', async (t) => {
  const { server, url, alice, bob } = await startChannel(t)
  const carol = await member(t, url)
  await Promise.all([alice, bob, carol].map(({ client }) => client.connect()))
  await say(alice, [bob, carol], 1, 5)
  await assertComplete(carol, 5)
  await server.emptied() // who leaves before its receipt is in is sent the message again
  await carol.client.close()

  const [toBob, toCarol] = await say(alice, [bob, carol], 6, COUNT)
  assert.deepEqual([new Set(toBob), new Set(toCarol)], [new Set(['sent']), new Set(['queued'])])
  await assertComplete(bob, COUNT)
  // The members share the sequence: the next sender continues to count.
  await say(bob, [alice, carol], COUNT + 1, COUNT + 10)

  await carol.client.connect()
  await assertComplete(carol, COUNT + 10)
  assert.equal(carol.receiver.arrivals.length, COUNT + 10)
  assert.ok(carol.receiver.arrivals.slice(5).every(({ offline }) => offline))
  assert.deepEqual(alice.receiver.arrivals.map(({ sequence }) => sequence).at(-1), COUNT + 10)
  await server.emptied()
})

test('a member that registers during the sends receives every message, in order', async (t) => {
  const { server, url, alice, bob } = await startChannel(t)
  const [carol, dave] = [await member(t, url), await member(t, url)]
  await Promise.all([alice, bob].map(({ client }) => client.connect()))
  await say(alice, [bob, carol, dave], 1, 60)
  const [, statuses] = await Promise.all([
    carol.client.connect().then(() => dave.client.connect()),
    say(alice, [bob, carol, dave], 61, COUNT)
  ])
  for (const other of [bob, carol, dave]) await assertComplete(other, COUNT)
  for (const { receiver } of [carol, dave]) {
    const isOffline = receiver.arrivals.map(({ offline }) => offline)
    assert.deepEqual([isOffline[0], isOffline.at(-1)], [true, false])
    assert.equal(receiver.arrivals.length, COUNT)
  }
  assert.deepEqual(new Set(statuses[0]), new Set(['sent']))
  await server.emptied()
})

test('a member whose connection is cut again and again misses nothing', async (t) => {
  const { server, url, alice, bob } = await startChannel(t)
  const sockets: WebSocket[] = []
  class Fragile extends WebSocket {
    constructor(address: string) {
      super(address)
      sockets.push(this)
    }
  }
  const carol = await member(t, url, Fragile)
  await Promise.all([alice, bob, carol].map(({ client }) => client.connect()))
  carol.client.events.on('message', () => {
    if (carol.receiver.arrivals.length % 20 === 19) sockets.at(-1)!.terminate()
  })
  await say(alice, [bob, carol], 1, COUNT)
  for (const other of [bob, carol]) await assertComplete(other, COUNT)
  assert.ok(sockets.length > 3, `${sockets.length} connections`)
  await server.emptied()
})
