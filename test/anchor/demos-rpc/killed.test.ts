// A relay that is killed while a checkpoint is on its way to the chain, and started again.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { serverProcess } from '../../chaos/server-process.ts'
import { createTestDatabase, temporaryDirectory } from '../../helpers/database.ts'
import { openPeer } from '../../helpers/peer.ts'
import { until } from '../../helpers/wait.ts'
import { startFakeNode } from './fake-node.ts'

test('killed while it sends a checkpoint, a relay goes on with it when it is started again, and sends it once', async (t) => {
  const node = await startFakeNode(t)
  const { url, sql } = await createTestDatabase(t)
  const home = await temporaryDirectory(t)
  const env = {
    ...{ DATABASE_URL: url, DATA_DIR: home, RPC_SIGNALING_PORT: '0', L2PS_MESSAGING_ENABLED: 'false' },
    ...{ ANCHOR: 'demos-rpc', DEMOS_RPC_URL: node.url, AUDIT_ANCHOR_SECONDS: '1' }
  }
  const server = serverProcess(t, { env, cwd: home, steppedClock: false })
  await server.start()
  let isSent = false
  node.fault = ({ call }) => {
    if (call !== 'broadcastTx' || isSent) return undefined
    isSent = true
    return { kind: 'slow', ms: 3_600_000 } // the node has it, and has not done anything with it yet
  }
  const alice = await openPeer(t, server.url!)
  await alice.register('alice')
  alice.send({ type: 'message', payload: { targetId: 'away', message: {} }, timestamp: 1 })
  await alice.next('message_queued')
  await until('the checkpoint is sent', () => isSent)
  await server.kill()
  const before = await sql`select from audit_anchor where done_at is null and next_attempt_at > ${Date.now()}`
  assert.equal(before.length, 0, 'it has to wait for nothing')
  const calls = node.requests.length
  await server.start()
  const startedAt = performance.now()
  await until('the chain is called', () => node.requests.length > calls)
  t.diagnostic(`called ${Math.round(performance.now() - startedAt)} ms after the start`)
  await until('it is anchored', async () => (await sql`select from audit_anchor where done_at is not null`).length > 0)
  assert.deepEqual([...node.ledger.anchored().values()], [1])
  assert.deepEqual(server.problems, [])
})
