// Finding things among many, as an operator does: sort, filter, page, go back, send the address; and what a viewer is offered.
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { Page } from 'playwright-core'
import { digestOf } from '../../src/http/tokens.ts'
import { temporaryDirectory } from '../helpers/database.ts'
import type { TestServer } from '../helpers/server.ts'
import { BROWSER, closeBrowser, goTo, openBoard, openPage, shoot, startConsoleServer, TOKEN } from './browser.ts'

after(closeBrowser)

/** 5,000 queues, the largest of which is `queue-4999`, and 10,000 identities. */
async function fill({ app }: TestServer): Promise<void> {
  const { sql } = app.database
  const now = Date.now()
  await sql`
    insert into queue_entry (network, sender, recipient, sealed, size_bytes, slot, accepted_at, expires_at)
    select 'signaling', 'alice', 'queue-' || lpad(box::text, 4, '0'), '"x"', 100, false, ${now}::bigint - box * 60000,
      ${now}::bigint + 600000000
    from generate_series(0, 4999) as box, generate_series(0, case when box = 4999 then 800 else 0 end) as n`
  await sql`
    insert into identity (network, peer, algorithm, signing_key)
    select 'signaling', 'peer-' || lpad(n::text, 5, '0'), 'ed25519', '\\x00' from generate_series(0, 9999) as n`
}

const first = (page: Page) => page.locator('main .page:not([hidden]) tbody tr').first()
const search = (page: Page, label: string) =>
  page.locator('main .page:not([hidden])').getByLabel(label, { exact: true })

test(
  'among 5,000 queues: the largest is first, headings sort, the filter follows the keys, and the address keeps it',
  BROWSER,
  async (t) => {
    const server = await startConsoleServer(t)
    await fill(server)
    const page = await openBoard(t, server, 'Queues')
    await first(page).getByText('queue-4999').waitFor()
    await page.getByText('1–25 of 5,000').waitFor()
    const messages = page.getByRole('columnheader', { name: 'Messages' })
    assert.equal(await messages.getAttribute('aria-sort'), 'descending')
    await page.getByRole('button', { name: 'Oldest' }).click()
    await first(page).getByText('queue-4999').waitFor() // the oldest, too
    await page.getByRole('button', { name: 'Recipient' }).click()
    await first(page).getByText('queue-0000').waitFor()
    assert.match(page.url(), /#queues\?sort=name$/)
    await page.getByRole('button', { name: 'Next' }).click()
    await page.getByText('26–50 of 5,000').waitFor()
    await page.reload()
    await page.getByText('26–50 of 5,000').waitFor()
    await first(page).getByText('queue-0025').waitFor()
    await page.goBack()
    await page.getByText('1–25 of 5,000').waitFor()
    await page.locator('main .page:not([hidden])').getByLabel('A page has').selectOption('100')
    await page.getByText('1–100 of 5,000').waitFor()
    await search(page, 'Recipient').pressSequentially('QUEUE-12')
    await page.getByText('1–100 of 100').or(page.getByText('100 in all')).waitFor()
    await first(page).getByText('queue-1200').waitFor()
    await search(page, 'Recipient').fill('nobody here')
    await page.getByText('No match for “nobody here”.').waitFor()
    await shoot(page, 'no-match')
    const other = await page.context().newPage()
    await other.goto(page.url()) // the address is all that is needed
    await other.getByText('No match for “nobody here”.').waitFor()
    assert.equal(await search(other, 'Recipient').inputValue(), 'nobody here')
    await goTo(page, 'Identities')
    await page.getByText('1–25 of 10,000').waitFor()
    await search(page, 'Peer').fill('peer-0999')
    await page.getByText('10 in all').waitFor()
  }
)

test('on a phone the lists are sorted, too', BROWSER, async (t) => {
  const server = await startConsoleServer(t)
  await fill(server)
  const page = await openBoard(t, server, 'Queues', { viewport: { width: 390, height: 844 } })
  await first(page).getByText('queue-4999').waitFor()
  await page.getByRole('button', { name: 'Recipient' }).click()
  await first(page).getByText('queue-0000').waitFor()
  await shoot(page, 'phone-sorted')
})

test(
  'who purged a queue is two clicks away, and the history is drawn from what the server kept',
  BROWSER,
  async (t) => {
    const server = await startConsoleServer(t)
    await fill(server)
    const headers = { authorization: `Bearer ${TOKEN}` }
    await fetch(`${server.addresses.http}/admin/queues/signaling/queue-4999`, { method: 'DELETE', headers })
    await server.app.database.sql`
    insert into stats_minute
    select floor(extract(epoch from now()) / 60)::int - n, '', 60 * n, 0, 0, 0, 0, '{"RATE_LIMITED": 60}', 7, 7, 0, 0, 1, 1, 2, 3, 4
    from generate_series(1, 59) as n`
    const page = await openBoard(t, server, 'Events')
    const row = first(page)
    await row.getByText('queue-4999').waitFor()
    assert.match(await row.innerText(), /admin\s+Messages deleted\s+queue-4999\s+signaling\s+801\s+80\.1\skB/)
    await row.getByRole('link', { name: 'queue-4999' }).click()
    assert.match(page.url(), /#events\?network=signaling&peer=queue-4999$/)

    await goTo(page, 'Overview')
    await page.locator('#history-rejected .legend').getByText('RATE_LIMITED').waitFor()
    // In the middle: the newest minute may by now be one that the server wrote.
    const chart = page.locator('#history-latency svg')
    const box = (await chart.boundingBox())!
    await page.mouse.move(box.x + box.width * 0.5, box.y + box.height / 2)
    await page.locator('#history-latency .hint', { hasText: /^at \d\d:\d\d$/ }).waitFor()
    await page.locator('#history-latency .legend').getByText('4 ms').waitFor()
    await page.getByRole('button', { name: 'Week' }).click()
    assert.match(page.url(), /#overview\?span=week$/)
    assert.equal(await page.getByRole('button', { name: 'Week' }).getAttribute('aria-pressed'), 'true')
  }
)

test('a viewer sees everything and is offered no change', BROWSER, async (t) => {
  const dataDir = await temporaryDirectory(t)
  const token = 'a-token-that-only-reads'
  const viewer = { name: 'grafana', role: 'viewer', sha256: digestOf(token).toString('hex'), createdAt: '2026-01-01' }
  await writeFile(join(dataDir, 'tokens.json'), JSON.stringify([viewer]), { mode: 0o600 })
  const server = await startConsoleServer(t, { DATA_DIR: dataDir })
  await server.join('alice')
  const page = await openPage(t, server)
  await page.getByLabel('Admin token').fill(token)
  await page.keyboard.press('Enter')
  await page.getByText('grafana, reads only').waitFor()
  await goTo(page, 'Peers')
  await first(page).getByRole('button', { name: 'Identity' }).waitFor()
  assert.ok(await first(page).getByRole('button', { name: 'Close' }).isHidden())
  await goTo(page, 'Networks')
  assert.ok(await page.getByRole('button', { name: 'New network' }).isHidden())
})
