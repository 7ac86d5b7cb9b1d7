// Several sessions of one key: no device loses a message because another one was faster (docs/protocol.md, 5.3).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { keyOf, type L2psPeer, registerFrame, sendFrame } from '../helpers/l2ps-peer.ts'
import { quickSigner } from '../helpers/peer.ts'
import { startTestServer } from '../helpers/server.ts'

const BODY = 'x'.repeat(120_000)

async function sendAll(sender: L2psPeer, to: string, from: number, count: number): Promise<void> {
  const sent = Array.from({ length: count }, (_, n) => sender.send(sendFrame(to, BODY, `hash-${from + n}`)))
  for (const requestId of sent) assert.equal((await sender.answerTo(requestId)).type, 'message_sent')
}

async function received(device: L2psPeer, count: number): Promise<string[]> {
  const hashes: string[] = []
  while (hashes.length < count) hashes.push((await device.next('message', 20_000)).payload.messageHash)
  return hashes
}

const hashes = (from: number, count: number) => Array.from({ length: count }, (_, n) => `hash-${from + n}`)

test('all of 60 large messages arrive on both devices although one reads nothing for a while', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('net')
  const key = await quickSigner()
  const alice = await server.enter('net')
  const [fast, slow] = [await server.enter('net', key), await server.enter('net', key)]
  slow.ws.pause()
  await sendAll(alice, keyOf(key), 0, 60)
  assert.deepEqual(await received(fast, 60), hashes(0, 60))
  slow.ws.resume()
  assert.deepEqual(await received(slow, 60), hashes(0, 60))
  await server.emptied()
})

test('what a lost device had not receipted is delivered when it comes back, and nothing twice to the other', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('net')
  const key = await quickSigner()
  const alice = await server.enter('net')
  const [fast, slow] = [await server.enter('net', key), await server.enter('net', key)]
  slow.ws.pause()
  await sendAll(alice, keyOf(key), 0, 20)
  assert.deepEqual(await received(fast, 20), hashes(0, 20))
  slow.terminate()
  while (server.app.presence.sessions('net', keyOf(key)).length > 1) await new Promise(setImmediate)
  const again = await server.enter('net', key)
  const back = await received(again, 1)
  assert.match(back[0]!, /^hash-/)
  await received(again, 19 - Number(back[0]!.slice(5)))
  await server.emptied()
  await fast.nothingMore()
})

test('a device that says goodbye owes nothing: the others release for it', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('net')
  const key = await quickSigner()
  const alice = await server.enter('net')
  const fast = await server.enter('net', key)
  const silent = await server.l2psPeer()
  const frame = await registerFrame(key, 'net')
  await silent.answerTo(silent.send({ ...frame, payload: { ...frame.payload, features: ['ack'] } }))
  await sendAll(alice, keyOf(key), 0, 3)
  assert.deepEqual(await received(fast, 3), hashes(0, 3))
  assert.deepEqual(await received(silent, 3), hashes(0, 3))
  const left = async () => {
    await server.app.mailboxes.drained()
    const [row] = await server.app.database.sql`select count(*)::int as n from queue_entry`
    return row!.n
  }
  assert.equal(await left(), 3, 'it has not acknowledged')
  await silent.close()
  await server.emptied()
})

test('a key has at most as many sessions as the limit says', async (t) => {
  const server = await startTestServer(t, { MAX_SESSIONS_PER_KEY: 2 })
  await server.addNetworks('net')
  const key = await quickSigner()
  const first = await server.enter('net', key)
  await server.enter('net', key)
  const third = await server.l2psPeer()
  const refusal = await third.answerTo(third.send(await registerFrame(key, 'net')))
  assert.deepEqual([refusal.type, refusal.payload.code], ['error', 'RATE_LIMITED'])
  await first.close()
  const fourth = await server.l2psPeer()
  assert.equal((await fourth.answerTo(fourth.send(await registerFrame(key, 'net')))).type, 'registered')
})
