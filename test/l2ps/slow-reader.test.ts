// A client that asks for more than it reads is answered in the end, and is missed when it is gone.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { historyFrame, openL2psPeer, sendFrame } from '../helpers/l2ps-peer.ts'
import { startTcpProxy } from '../helpers/proxy.ts'
import { startTestServer } from '../helpers/server.ts'
import { until } from '../helpers/wait.ts'

const BODY = 'A'.repeat(131_072)
/** A page of all of them has 4 MB. */
const MESSAGES = 30
/** More than the system keeps of what a client does not read. */
const PAGES = 4

/** Alice, behind a proxy, has asked Bob's whole conversation several times, then one thing more, and does not read. */
async function setUp(t: TestContext) {
  const server = await startTestServer(t, { PONG_DEADLINE_SECONDS: 2, HEARTBEAT_SECONDS: 1 })
  await server.addNetworks('net')
  const proxy = await startTcpProxy(t, server.addresses.l2ps!)
  const bob = await server.enter('net')
  const alice = await openL2psPeer(t, proxy.url)
  await alice.register('net')
  await bob.next('peer_joined')
  for (let n = 0; n < MESSAGES; n += 1) {
    assert.equal((await alice.answerTo(alice.send(sendFrame(bob.key, BODY)))).type, 'message_sent')
  }
  const now = Date.now()
  const pages = Array.from({ length: PAGES }, (_, n) =>
    historyFrame(alice.signer, bob.key, { limit: MESSAGES, timestamp: now + n })
  )
  const requests = [...(await Promise.all(pages)), { type: 'discover', payload: {} }].map((frame) => alice.send(frame))
  alice.ws.pause()
  const isFull = () => [...server.app.sessions.all()].some(({ writer }) => writer.isFull)
  await until('the server cannot write to her', isFull)
  return { alice, bob, proxy, requests }
}

test('a client that reads slowly gets the pages it asked for, and the answer to the frame behind them', async (t) => {
  const { alice, requests } = await setUp(t)
  alice.ws.resume()
  const answers = await Promise.all(requests.map((request) => alice.answerTo(request)))
  assert.deepEqual(
    answers.map(({ type }) => type),
    [...Array(PAGES).fill('history_response'), 'discover_response']
  )
  await alice.nothingMore()
})

test('a client that vanishes while it is written to is missed after the pong deadline', async (t) => {
  const { alice, bob, proxy } = await setUp(t)
  proxy.freeze()
  assert.equal((await bob.next('peer_left', 15_000)).payload.publicKey, alice.key)
})
