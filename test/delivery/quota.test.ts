import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openDatabase, type Sql } from '../../src/database/database.ts'
import { DailyBytes } from '../../src/delivery/daily-bytes.ts'
import { type Acceptance, Mailbox, type Recipients } from '../../src/delivery/mailbox.ts'
import { queueStore } from '../../src/delivery/message-store.ts'
import { wrongQuotas } from '../chaos/database-check.ts'
import { atEnd } from '../helpers/at-end.ts'
import { createTestDatabase } from '../helpers/database.ts'
import { silentLog } from '../helpers/test-cluster.ts'

const LIMITS = {
  ...{ quotaPerSender: 10, recipientMessages: 15, recipientBytes: 1_000_000 },
  ...{ waitingMessages: 10_000, waitingBytes: 1_000_000, deadlineMs: 20_000 }
}
const NOBODY: Recipients = {
  admit: (_message, _limit, then) => then({ slot: true }),
  committed: (_entry, _admission, done) => done(false),
  dropped: () => {},
  reread: (_message, _seq, done) => done(false)
}

/** A mailbox of a server of its own, to which nobody is connected. */
async function openMailbox(t: TestContext, url: string): Promise<Mailbox> {
  const database = await openDatabase({ url, dataDir: '', poolSize: 4, deadlineMs: 20_000 }, silentLog)
  atEnd(t, () => database.close())
  return new Mailbox({
    store: queueStore({ isAudited: false, ttlMs: 60_000 }),
    daily: new DailyBytes({ senderBytesPerDay: 0, networkBytesPerDay: 0 }),
    totals: { hasRoom: () => true },
    ...{ database, recipients: NOBODY, limits: LIMITS, now: Date.now, log: silentLog }
  })
}

const accept = (mailbox: Mailbox, sender: string, recipient: string) =>
  new Promise<Acceptance>((resolve) => {
    const body = { digest: null, sealed: '"s"', bytes: 3, keyId: null }
    mailbox.accept({ network: 'n', sender, recipient, ...body }, resolve)
  })

const count = (outcomes: readonly Acceptance[], wanted: Acceptance) => outcomes.filter((each) => each === wanted).length

test('a quota is exact when servers and lanes write at once', async (t) => {
  const { url, sql } = await createTestDatabase(t)
  const servers = await Promise.all([openMailbox(t, url), openMailbox(t, url), openMailbox(t, url)])
  for (let round = 0; round < 10; round++) {
    const sends = servers.flatMap((server) =>
      Array.from({ length: 12 }, (_, place) => accept(server, `sender ${round}`, `recipient ${round} ${place}`))
    )
    const outcomes = await Promise.all(sends)
    assert.deepEqual([count(outcomes, 'queued'), count(outcomes, 'quota')], [10, 26])
  }
  assert.deepEqual(await wrongQuotas(sql as never), [])
})

/** These have written to that recipient for so many days. */
async function wrote(sql: Sql, senders: readonly string[], recipient: string, days: number): Promise<void> {
  await sql`
    insert into contact (network, sender, recipient, since)
    select 'n', sender, ${recipient}, now() - make_interval(days => ${days}) from unnest(${senders}::text[]) as sender`
}

test('a mailbox is full at its limit, whoever fills it', async (t) => {
  const { url, sql } = await createTestDatabase(t)
  const servers = await Promise.all([openMailbox(t, url), openMailbox(t, url)])
  for (let round = 0; round < 10; round++) {
    const senders = Array.from({ length: 12 }, (_, place) => `sender ${round} ${place}`)
    await wrote(sql, senders, `recipient ${round}`, 2)
    const sends = servers.flatMap((server) =>
      Array.from({ length: 12 }, (_, place) => accept(server, `sender ${round} ${place}`, `recipient ${round}`))
    )
    const outcomes = await Promise.all(sends)
    assert.deepEqual([count(outcomes, 'queued'), count(outcomes, 'recipient_full')], [15, 9])
  }
  assert.deepEqual(await wrongQuotas(sql as never), [])
})

test('names made for a flood fill half of a mailbox; the rest is for those its owner knows', async (t) => {
  const { url, sql } = await createTestDatabase(t)
  const mailboxes = [await openMailbox(t, url), await openMailbox(t, url)] as const
  await wrote(sql, ['friend'], 'victim', 2)
  await wrote(sql, ['acquaintance'], 'victim', 0)
  await wrote(sql, ['victim'], 'pen pal', 0)
  const outcomes: Acceptance[] = []
  for (let n = 0; n < 20; n++) outcomes.push(await accept(mailboxes[n % 2]!, `flood ${n}`, 'victim'))
  assert.deepEqual([count(outcomes, 'queued'), count(outcomes, 'recipient_full')], [8, 12])
  for (const [sender, outcome] of [
    ['friend', 'queued'],
    ['pen pal', 'queued'],
    ['acquaintance', 'recipient_full']
  ] as const) {
    assert.equal(await accept(mailboxes[0], sender, 'victim'), outcome, sender)
  }
  assert.equal(await accept(mailboxes[0], 'acquaintance', 'pen pal'), 'queued', 'another mailbox')
  assert.deepEqual(await wrongQuotas(sql as never), [])
})
