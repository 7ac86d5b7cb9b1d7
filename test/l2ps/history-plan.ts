import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { historyFrame, sendFrame } from '../helpers/l2ps-peer.ts'
import { startTestServer } from '../helpers/server.ts'

/** However many messages of others lie beside a conversation, a page of it is read by its index. */
export async function readsByIndex(t: TestContext, others: number): Promise<void> {
  const server = await startTestServer(t)
  await server.addNetworks('net')
  const alice = await server.enter('net')
  const peer = '44'.repeat(32)
  const ids = Array.from({ length: 120 }, () => alice.send(sendFrame(peer)))
  for (const id of ids) await alice.answerTo(id)
  const { sql } = server.app.database
  await sql.begin(async (tx) => {
    await tx`set local statement_timeout = 0`
    await tx`set local synchronous_commit = off`
    await tx`
      insert into message (id, conversation, network, sender, recipient, message_hash, sealed, size_bytes, sent_at)
      select gen_random_uuid(), md5((n % ${others / 1_000}::int)::text)::uuid, 'net', 'a', 'b', n::text, '{}', 2, 1900000000000 + n
      from generate_series(1, ${others}::int) as n`
    await tx`analyze message`
  })
  const started = performance.now()
  const reply = await alice.answerTo(alice.send(await historyFrame(alice.signer, peer, { limit: 100 })))
  t.diagnostic(`a page of 100 beside ${others} rows took ${(performance.now() - started).toFixed(1)} ms`)
  assert.equal(reply.payload.messages.length, 100)
  const plan = await sql`
    explain select * from message where conversation = md5('7')::uuid and sent_at < 9e15::bigint
    order by sent_at desc limit 101`
  const text = plan.map((row) => row['QUERY PLAN']).join('\n')
  assert.match(text, /Index Scan.* using message_page_idx/)
  assert.doesNotMatch(text, /Seq Scan|Sort/)
}
