// A mailbox as deep as one may be, drained by an ordinary client.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { WebSocket } from 'ws'
import type { Sql } from '../../src/database/pool.ts'
import { createTestDatabase } from '../helpers/database.ts'
import { quickIdentity, registerFrame } from '../helpers/peer.ts'
import { startTestServer } from '../helpers/server.ts'

const BODY_BYTES = 1_000
/** What may be on its way at any time, twice over: a window here, a page there. All bodies are 40 MB and more. */
const MAX_HEAP_BYTES = 16 * 2 ** 20
/** With what is read to count the queue, now and then. All that wait, for each page, would be 150 and more. */
const MAX_ROWS_PER_MESSAGE = 10

setFlagsFromString('--expose_gc')
const collectGarbage = runInNewContext('gc') as () => void

function heapBytes(): number {
  collectGarbage()
  return process.memoryUsage().heapUsed
}

/** Rows that were looked up in mailboxes so far; Postgres counts them with a delay. */
async function rowsRead(sql: Sql): Promise<number> {
  await setTimeout(1_500)
  const [row] = await sql<{ rows: number }[]>`
    select idx_tup_read as rows from pg_stat_user_indexes where indexrelname = 'queue_entry_pkey'`
  return row!.rows
}

/** So many messages for one peer arrive in order, read page by page, in a small heap. */
export async function drains(t: TestContext, depth: number): Promise<void> {
  const { url, sql } = await createTestDatabase(t)
  const server = await startTestServer(t, { DATABASE_URL: url })
  const owner = await quickIdentity()
  await (await server.join('bob', owner)).close()
  await sql`
    insert into queue_entry (network, sender, recipient, sealed, size_bytes, slot, accepted_at, expires_at)
    select 'signaling', 'alice', 'bob', '[' || n || ',"' || repeat('x', ${BODY_BYTES}) || '"]', ${BODY_BYTES}, false,
      ${Date.now()}, ${Date.now() + 86_400_000}
    from generate_series(0, ${depth - 1}) as n`
  const bob = new WebSocket(server.addresses.signaling)
  t.after(() => bob.terminate())
  await once(bob, 'open')
  bob.send(JSON.stringify(await registerFrame('bob', owner)))
  await once(bob, 'message')

  const before = heapBytes()
  const heap: number[] = []
  await new Promise<void>((resolve, reject) => {
    let expected = 0
    bob.on('close', () => reject(new Error(`closed after ${expected} messages`)))
    bob.on('message', (frame: Buffer) => {
      if (JSON.parse(frame.toString()).payload.message[0] !== expected)
        reject(new Error(`${expected} did not come next`))
      expected += 1
      if (expected % 10_000 === 0) heap.push(heapBytes() - before)
      if (expected === depth) resolve()
    })
  })
  await server.emptied()
  const [peak, rows] = [Math.max(...heap), await rowsRead(sql)]
  t.diagnostic(`the heap grew by ${Math.round(peak / 1_000)} kB at most, ${rows} rows were read for ${depth} messages`)
  assert.ok(peak < MAX_HEAP_BYTES, `the heap grew by ${peak} bytes`)
  assert.ok(rows < MAX_ROWS_PER_MESSAGE * depth, `${rows} rows were read`)
}
