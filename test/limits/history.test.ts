// What an address may read of history, however many requests it sends before their answers.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BURST_SECONDS, PRICES } from '../../src/limits/prices.ts'
import { historyFrame, sendFrame } from '../helpers/l2ps-peer.ts'
import { startTestServer } from '../helpers/server.ts'
import { until } from '../helpers/wait.ts'

const MESSAGES = 10
const BODY_BYTES = 100_000
const PAGE_KILOBYTES = (MESSAGES * BODY_BYTES) / 1_024
const REQUESTS = 40
/** Pages whose price is not known before they are read, so that they may overdraw the budget: one under way. */
const UNDER_WAY = 1

test('requests that lie behind an answer are paid for before the next one is read', async (t) => {
  const perSecond = 100_000
  const server = await startTestServer(t, { WORK_PER_SOCKET: perSecond })
  await server.addNetworks('net')
  const [alice, bob] = [await server.enter('net'), await server.enter('net')]
  for (let n = 0; n < MESSAGES; n++) {
    await alice.answerTo(alice.send(sendFrame(bob.key, 'A'.repeat(BODY_BYTES), `m${n}`)))
  }
  const frames = await Promise.all(
    Array.from({ length: REQUESTS }, (_, n) => historyFrame(bob.signer, alice.key, { before: Date.now() + 1_000 + n }))
  )
  const began = performance.now()
  let pages = 0
  bob.ws.on('message', (data) => {
    if (String(data).startsWith('{"type":"history_response"')) pages += 1
  })
  for (const frame of frames) bob.send(frame)
  await until('some pages came', () => pages >= 8)
  const price = PAGE_KILOBYTES * (PRICES.history + PRICES.answered)
  const paid = perSecond * (BURST_SECONDS + (performance.now() - began) / 1_000)
  assert.ok(pages <= Math.ceil(paid / price) + UNDER_WAY, `${pages} pages at ${price} µs, of ${Math.round(paid)} µs`)
  assert.ok(pages < REQUESTS)
})
