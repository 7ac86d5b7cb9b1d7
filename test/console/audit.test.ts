import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { Page } from 'playwright-core'
import { insertAuditEvents } from '../../src/store/audit-inbox.ts'
import { messages } from '../audit/helpers.ts'
import type { TestServer } from '../helpers/server.ts'
import { until } from '../helpers/wait.ts'
import { BROWSER, closeBrowser, ELSEWHERE, openBoard, shoot, startConsoleServer } from './browser.ts'

after(closeBrowser)

/** Records so many messages in the log of signaling, and waits until they are signed. */
async function record(server: TestServer, count: number): Promise<void> {
  const { sql } = server.app.database
  for (let at = 0; at < count; at += 500) await insertAuditEvents(sql, messages(Math.min(500, count - at)))
  await until(`${count} records are signed`, async () => {
    const [log] = await sql`select published_size::int as size from audit_log where network = 'signaling'`
    return log?.size >= count
  })
}

const signalingLog = (page: Page) =>
  page.getByRole('region', { name: 'Audit logs' }).getByRole('row', { name: /^signaling/ })

async function verify(page: Page): Promise<string> {
  const row = signalingLog(page)
  await row.getByRole('button', { name: 'Verify' }).click()
  await row.getByText(/^(Right|Wrong|Not checked:)/).waitFor()
  return row.locator('td.words').innerText()
}

test('the page verifies a log, and that it goes on from what it saw before', BROWSER, async (t) => {
  const server = await startConsoleServer(t)
  await record(server, 700)
  const page = await openBoard(t, server, 'Audit')
  assert.match(
    await verify(page),
    /^Right: key [0-9a-f]{8} signed it, and the hashes of all 700 records give the signed root/
  )
  await shoot(page, 'verified')
  await record(server, 750)
  await signalingLog(page).getByText('1,450').waitFor()
  assert.match(await verify(page), /all 1,450 records .* It goes on from the 700 checked before\.$/)
})

test('a bit that is changed in the database is seen by the page, and the tile named', BROWSER, async (t) => {
  const server = await startConsoleServer(t)
  await record(server, 700)
  const page = await openBoard(t, server, 'Audit')
  assert.match(await verify(page), /^Right/)
  const { sql } = server.app.database
  const flip = (level: number, idx: number) => sql`
    update audit_tile set hashes = set_bit(hashes, 77, 1 - get_bit(hashes, 77))
    where level = ${level} and idx = ${idx} and log = (select id from audit_log where network = 'signaling')`
  await flip(0, 1)
  assert.match(await verify(page), /^Wrong: Tile 0\/1 .* records 256 to 511 has changed\.$/)
  await shoot(page, 'changed-bit')
  await flip(0, 1)
  assert.match(await verify(page), /^Right/)
  await flip(0, 2)
  assert.match(await verify(page), /^Wrong: The published hashes do not give the signed root/)
  await flip(0, 2)
  await sql`update audit_log set published_note = replace(published_note, E'\n700\n', E'\n699\n') where network = 'signaling'`
  assert.match(await verify(page), /^Wrong: The signature is wrong/)
  await sql`delete from audit_tile where level = 0 and idx = 0`
  await sql`update audit_log set published_note = replace(published_note, E'\n699\n', E'\n700\n') where network = 'signaling'`
  assert.match(await verify(page), /^Wrong: .*tile\/0\/000 is not there/)
})

test('a log that was rewritten between two looks is seen', BROWSER, async (t) => {
  const server = await startConsoleServer(t)
  await record(server, 300)
  const page = await openBoard(t, server, 'Audit')
  assert.match(await verify(page), /^Right/)
  await page.evaluate(`{
    const name = 'demos-relay checked logs'
    const kept = JSON.parse(sessionStorage.getItem(name))
    kept.signaling.size = 200 // another root for a size it had
    sessionStorage.setItem(name, JSON.stringify(kept))
  }`)
  assert.match(await verify(page), /^Wrong: The log does not begin with the 200 records/)
})

test(
  'where a browser has no cryptography, over plain http from elsewhere, the page says so and does the rest',
  BROWSER,
  async (t) => {
    const server = await startConsoleServer(t)
    await record(server, 3)
    const { port } = new URL(server.addresses.http)
    const page = await openBoard(
      t,
      { addresses: { ...server.addresses, http: `http://${ELSEWHERE}:${port}` } },
      'Audit'
    )
    assert.equal(await verify(page), 'Not checked: A browser can check this only over https, or on this machine.')
  }
)
