import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LINES_A_MINUTE, limitedLog } from '../../src/util/limited-log.ts'
import { logLines } from '../helpers/log-lines.ts'
import { quickIdentity } from '../helpers/peer.ts'
import { startTestServer } from '../helpers/server.ts'
import { stopTime } from '../helpers/stop-time.ts'

test('of each message so many lines are written in a minute, then how many were left out', async (t) => {
  const time = stopTime(t)
  const { logger, lines } = logLines()
  const log = limitedLog(logger)
  const complain = (times: number) => {
    for (let n = 0; n < times; n++) log.error({ n }, 'frame not handled')
  }
  complain(LINES_A_MINUTE + 5)
  log.warn({}, 'another message')
  assert.equal(lines.length, LINES_A_MINUTE + 1)
  await time.advance(60_000)
  assert.deepEqual(
    lines.slice(LINES_A_MINUTE).map(({ level, msg, leftOut }) => [level, msg, leftOut]),
    [
      ['warn', 'another message', undefined],
      ['error', 'frame not handled', 5]
    ]
  )
  complain(1)
  await time.advance(60_000)
  assert.deepEqual([lines.length, lines.at(-1)!.n], [LINES_A_MINUTE + 3, 0], 'nothing was left out in this one')
})

test('a peer that has the server write something as often as it can does not fill the log', async (t) => {
  const { logger, count } = logLines()
  const server = await startTestServer(t, { WORK_PER_ADDRESS: 0 }, { logger })
  const owner = await quickIdentity()
  for (let n = 0; n < LINES_A_MINUTE + 20; n++) {
    const publicKey = crypto.getRandomValues(new Uint8Array(32))
    await (await server.join('alice', { ...owner, publicKey })).close()
  }
  assert.equal(count('encryption key changed'), LINES_A_MINUTE)
})
