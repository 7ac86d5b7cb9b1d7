// Pages of conversations, which Postgres writes as JSON.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { Pool } from '../../src/database/pool.ts'
import { conversationId, insertMessages, type PageBounds, readHistory } from '../../src/store/message.ts'
import { createTestDatabase } from '../helpers/database.ts'
import { BODIES } from '../helpers/handlers.ts'
import { silentLog } from '../helpers/test-cluster.ts'

/** As its peer `alice` sees it. */
const CONVERSATION = {
  ...{ id: conversationId('net"\n', 'alice', 'bob'), network: 'net"\n' },
  ...{ reader: 'alice', readerKey: 'a1', otherKey: 'b0' }
}
const WHOLE: PageBounds = { before: undefined, limit: 1_000, maxBytes: 10_000_000 }

interface Said {
  readonly sentAt: number
  readonly sender?: 'alice' | 'bob'
  readonly sealed?: string
  readonly digest?: string
}

/** A database with this conversation, the oldest first, without audit records; each message waits in its mailbox. */
async function conversation(t: TestContext, said: readonly Said[]) {
  const { url } = await createTestDatabase(t)
  const pool = new Pool({ url, size: 1, statementMs: 30_000, log: silentLog })
  t.after(() => pool.end(1_000))
  const messages = said.map(({ sentAt, sender = 'alice', sealed = '"AAAA"', digest }, place) => {
    const recipient = sender === 'alice' ? 'bob' : 'alice'
    const entry = {
      ...{ seq: 0, network: CONVERSATION.network, sender, recipient, digest: digest ?? `d${place}`, sealed },
      ...{ bytes: Buffer.byteLength(sealed), keyId: null, slot: false, acceptedAt: 1, deliveries: 0 }
    }
    return { entry, conversation: CONVERSATION.id, sentAt }
  })
  await insertMessages(pool.sql, messages, { isAudited: false, ttlMs: 1_000 }, true)
  const read = async (bounds: Partial<PageBounds> = {}) => {
    const page = await readHistory(pool.sql, CONVERSATION, { ...WHOLE, ...bounds })
    return { ...page, text: page.messages.toString(), messages: JSON.parse(`[${page.messages}]`) }
  }
  return { sql: pool.sql, read }
}

test('a walk through the pages finds every message once, whatever shares a millisecond and how large pages are', async (t) => {
  let sentAt = 1
  const said = Array.from({ length: 60 }, (_, place) => {
    if (place % 2 === 0 || place % 7 === 0) sentAt += 1
    return { sentAt }
  })
  const { read } = await conversation(t, said)
  const newestFirst = said.map((_, place) => `d${place}`).toReversed()
  for (const limit of [1, 2, 3, 4, 7, said.length, said.length + 1]) {
    for (const maxBytes of [1, 6, 13, 40, 10_000]) {
      const seen: string[] = []
      for (let before: number | undefined, hasMore = true; hasMore; ) {
        const page = await read({ before, limit, maxBytes })
        seen.push(...page.messages.map(({ messageHash }: { messageHash: string }) => messageHash))
        before = page.messages.at(-1)!.timestamp
        hasMore = page.hasMore
      }
      assert.deepEqual(seen, newestFirst, `pages of ${limit} and ${maxBytes} bytes`)
    }
  }
})

test('a conversation without messages is an empty page', async (t) => {
  const { read } = await conversation(t, [])
  assert.deepEqual(await read(), { text: '', messages: [], bytes: 0, hasMore: false })
})

test('a message of each direction names keys as the reader knows them, and the size of bodies is counted', async (t) => {
  const { read } = await conversation(t, [{ sentAt: 5 }, { sentAt: 7, sender: 'bob', sealed: '{"n":"é"}' }])
  const { messages, bytes } = await read()
  const same = { l2psUid: CONVERSATION.network, l2psTxHash: null, status: 'queued' }
  assert.deepEqual(
    messages.map(({ id, ...rest }: { id: string }) => {
      assert.match(id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
      return rest
    }),
    [
      { ...same, from: 'b0', to: 'a1', messageHash: 'd1', encrypted: { n: 'é' }, timestamp: 7 },
      { ...same, from: 'a1', to: 'b0', messageHash: 'd0', encrypted: 'AAAA', timestamp: 5 }
    ]
  )
  assert.equal(bytes, 6 + 10)
})

test('the body of a message is the very text that was stored, and its name any text', async (t) => {
  const bodies = Object.values(BODIES)
  const names = bodies.map((_, place) => `${place} "\\/\b\f\n\r\t\u0001\u007f\u2028\u{1f600}`)
  const { read } = await conversation(
    t,
    bodies.map((sealed, place) => ({ sentAt: place, sealed, digest: names[place]! }))
  )
  const { text, messages } = await read()
  for (const body of bodies) assert.ok(text.includes(`,"encrypted":${body},"l2psUid":`), body)
  assert.deepEqual(
    messages.map(({ messageHash }: { messageHash: string }) => messageHash),
    names.toReversed()
  )
})

test('the status says what its sender may have to act on, then how far the record is; its hash once it is signed', async (t) => {
  const rows: [name: string, status: string, delivery: string, waiting: boolean, idx: number | undefined][] = [
    ['waits, and has no record', 'queued', 'accepted', true, undefined],
    ['waits', 'queued', 'accepted', true, 0],
    ['was received, and has no record', 'delivered', 'accepted', false, undefined],
    ['its record is in the log', 'l2ps_pending', 'accepted', false, 20],
    ['under a checkpoint', 'l2ps_batched', 'accepted', false, 10],
    ['under an anchored one', 'l2ps_confirmed', 'accepted', false, 1],
    ['expired', 'failed', 'expired', false, undefined],
    ['was purged by an earlier version', 'failed', 'accepted', false, undefined],
    ['was purged while its record was made', 'failed', 'purged', true, 11]
  ]
  const { sql, read } = await conversation(
    t,
    rows.map((_, place) => ({ sentAt: place }))
  )
  const [log] = await sql<{ id: number }[]>`
    insert into audit_log (network, size, root, published_size, anchored_size) values ('net', 30, ${Buffer.alloc(32)}, 15, 5)
    returning id`
  for (const [place, [name, , delivery, waiting, idx]] of rows.entries()) {
    const [row] = await sql<{ seq: number }[]>`select seq from message where sent_at = ${place}`
    if (name.endsWith('earlier version')) await sql`update message set delivery = 'purged' where seq = ${row!.seq}`
    if (delivery !== 'accepted') await sql`insert into given_up (seq, reason) values (${row!.seq}, ${delivery})`
    if (!waiting) await sql`delete from queue_entry where seq = ${row!.seq}`
    if (idx === undefined) continue
    await sql`insert into audit_entry (log, idx, message_seq, entry) values (${log!.id}, ${idx}, ${row!.seq}, ${Buffer.from(name)})`
  }
  const { messages } = await read()
  const hash = (text: string) => createHash('sha256').update(text).digest('hex')
  assert.deepEqual(
    messages.map(({ status, l2psTxHash }: { status: string; l2psTxHash: string | null }) => [status, l2psTxHash]),
    rows.map(([name, status, , , idx]) => [status, idx !== undefined && idx < 15 ? hash(name) : null]).toReversed()
  )
})
