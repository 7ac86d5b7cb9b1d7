// Pages of a conversation in which messages share a millisecond, as those of two relays do.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createPool } from '../../src/database/pool.ts'
import { conversationId, insertMessages, readHistory } from '../../src/store/message.ts'
import { createTestDatabase } from '../helpers/database.ts'
import { silentLog } from '../helpers/test-cluster.ts'

const MESSAGES = 60
const CONVERSATION = conversationId('net', 'alice', 'bob')

test('a walk through the pages finds every message once, whatever shares a millisecond and how large pages are', async (t) => {
  const { url } = await createTestDatabase(t)
  const pool = createPool({ url, size: 1, statementMs: 30_000, log: silentLog })
  t.after(() => pool.end(1_000))
  let sentAt = 1
  const messages = Array.from({ length: MESSAGES }, (_, place) => {
    const entry = {
      ...{ seq: 0, network: 'net', sender: 'alice', recipient: 'bob', digest: `d${place}`, sealed: '"AAAA"', bytes: 6 },
      ...{ keyId: null, slot: false, acceptedAt: 1, deliveries: 0 }
    }
    if (place % 2 === 0 || place % 7 === 0) sentAt += 1
    return { entry, conversation: CONVERSATION, sentAt }
  })
  await insertMessages(pool.sql, messages, { isAudited: false, ttlMs: 1_000, isNew: true })
  const newestFirst = messages.map(({ entry }) => entry.digest).toReversed()
  for (const limit of [1, 2, 3, 4, 7, MESSAGES, MESSAGES + 1]) {
    for (const maxBytes of [1, 6, 13, 40, 10_000]) {
      const seen: string[] = []
      for (let before: number | undefined, hasMore = true; hasMore; ) {
        const page = await readHistory(pool.sql, CONVERSATION, { before, limit, maxBytes })
        seen.push(...page.messages.map(({ messageHash }) => messageHash))
        before = page.messages.at(-1)!.sentAt
        hasMore = page.hasMore
      }
      assert.deepEqual(seen, newestFirst, `pages of ${limit} and ${maxBytes} bytes`)
    }
  }
})
