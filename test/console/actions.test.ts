import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { Page } from 'playwright-core'
import { keyOf } from '../helpers/l2ps-peer.ts'
import { quickSigner } from '../helpers/peer.ts'
import type { TestServer } from '../helpers/server.ts'
import { until } from '../helpers/wait.ts'
import { BROWSER, closeBrowser, openBoard, shoot, startConsoleServer } from './browser.ts'
import { makeBusy, queue } from './busy.ts'

after(closeBrowser)

const rowOf = (page: Page, section: string, name: string) =>
  page.getByRole('region', { name: section }).getByRole('row', { name: new RegExp(`^${name}( |$)`) })
const yes = (page: Page, label: string) =>
  page.getByRole('dialog').getByRole('button', { name: label, exact: true }).click()
const said = (page: Page, text: string) => page.locator('#said', { hasText: text }).waitFor()

test('a purge says first what it would delete, and deletes just that', BROWSER, async (t) => {
  const server = await startConsoleServer(t)
  const { bob } = await makeBusy(server)
  await queue(bob, 'carol', 2)
  const page = await openBoard(t, server, 'Queues')
  await rowOf(page, 'Queues', 'carol').getByRole('button', { name: 'Purge' }).click()
  const dialog = page.getByRole('dialog', { name: 'Delete waiting messages' })
  await dialog.getByText('This would delete 5 messages, 50 B.').waitFor()
  await dialog.getByLabel('Accepted').selectOption('Older than a day')
  await dialog.getByText('This would delete 0 messages').waitFor()
  assert.ok(await dialog.getByRole('button', { name: 'Delete 0 messages' }).isDisabled())
  await dialog.getByLabel('Accepted').selectOption('Any age')
  await dialog.getByLabel('Only from this sender').fill('bob')
  await dialog.getByText('This would delete 2 messages, 20 B.').waitFor()
  await shoot(page, 'purge')
  const [before] = await server.app.database
    .sql`select count(*)::int as left from queue_entry where recipient = 'carol'`
  assert.equal(before?.left, 5, 'looking deletes nothing')
  await yes(page, 'Delete 2 messages')
  await said(page, '2 messages deleted, 20 B.')
  await shoot(page, 'purged')
  await rowOf(page, 'Queues', 'carol').getByRole('cell', { name: '3', exact: true }).waitFor()
  const carol = await server.join('carol')
  for (let n = 0; n < 3; n++) assert.equal((await carol.next('message')).payload.fromId, 'alice')
  await carol.nothingMore()
})

test('a dialog that is opened the moment another closed is whole', BROWSER, async (t) => {
  const server = await startConsoleServer(t)
  await makeBusy(server)
  const page = await openBoard(t, server, 'Queues')
  const purge = rowOf(page, 'Queues', 'carol').getByRole('button', { name: 'Purge' })
  await purge.click()
  const dialog = page.getByRole('dialog', { name: 'Delete waiting messages' })
  await dialog.getByRole('button', { name: 'Delete 3 messages' }).waitFor()
  const closeAndPurge = `document.querySelector('dialog').close()
    document.querySelector('[aria-label="Purge the queue of carol"]').click()`
  await page.evaluate(closeAndPurge)
  await dialog.getByText('This would delete 3 messages').waitFor()
  await yes(page, 'Cancel')
  await rowOf(page, 'Queues', 'carol').getByRole('button', { name: 'Show' }).click()
  await page
    .getByRole('button', { name: /^Delete message \d+ from alice/ })
    .first()
    .click()
  await page.getByRole('dialog', { name: /^Delete message/ }).waitFor() // which leads back to the messages when it closes
  await page.evaluate(closeAndPurge)
  await dialog.getByText('This would delete 3 messages').waitFor()
  await yes(page, 'Delete 3 messages')
  await said(page, '3 messages deleted')
})

test('what waits can be looked at, never its body, and queued again', BROWSER, async (t) => {
  const server = await startConsoleServer(t)
  await makeBusy(server)
  const { sql } = server.app.database
  const expiry = async () =>
    (await sql`select min(expires_at)::float8 as at from queue_entry where recipient = 'carol'`)[0]?.at
  const page = await openBoard(t, server, 'Queues')
  await rowOf(page, 'Queues', 'carol').getByRole('button', { name: 'Show' }).click()
  const entries = page.getByRole('dialog', { name: 'Waiting messages' }).getByRole('row', { name: /^\d+ alice 10 B/ })
  await entries.nth(2).waitFor()
  assert.equal(await entries.count(), 3)
  assert.doesNotMatch(await page.content(), /sealed \d/)
  await shoot(page, 'entries')
  await yes(page, 'Close')
  const before = await expiry()
  await rowOf(page, 'Queues', 'carol').getByRole('button', { name: 'Requeue' }).click()
  await shoot(page, 'requeue')
  await yes(page, 'Queue again')
  await said(page, '3 messages queued again.')
  assert.ok((await expiry()) > before, 'they have a fresh time to live')
})

test(
  'how often a message was delivered is shown, and one that cannot be taken is deleted alone',
  BROWSER,
  async (t) => {
    const server = await startConsoleServer(t)
    await makeBusy(server)
    const { sql } = server.app.database
    const [poison] = await sql`
    update queue_entry set deliveries = 1204
    where seq = (select min(seq) from queue_entry where recipient = 'carol') returning seq::int`
    const page = await openBoard(t, server, 'Queues')
    await rowOf(page, 'Queues', 'carol').getByRole('button', { name: 'Show' }).click()
    const list = page.getByRole('dialog', { name: 'Waiting messages' })
    const row = list.getByRole('row', { name: new RegExp(`^${poison!.seq} alice `) })
    await row.getByRole('cell', { name: '1,204', exact: true }).waitFor()
    assert.equal(await list.getByRole('cell', { name: '0', exact: true }).count(), 2)
    await shoot(page, 'poison')
    await list.getByRole('button', { name: `Delete message ${poison!.seq} from alice` }).click()
    const question = page.getByRole('dialog', { name: `Delete message ${poison!.seq}` })
    await question.getByText('sent 1,204 times without a receipt').waitFor()
    await shoot(page, 'delete-message')
    await yes(page, 'Cancel')
    await row.waitFor()
    await list.getByRole('button', { name: `Delete message ${poison!.seq} from alice` }).click()
    await yes(page, 'Delete')
    await said(page, '1 message deleted, 10 B.')
    await row.waitFor({ state: 'detached' })
    await list
      .getByRole('row', { name: /^\d+ alice / })
      .nth(1)
      .waitFor()
    await shoot(page, 'message-deleted')
    await yes(page, 'Close')
    await rowOf(page, 'Queues', 'carol').getByRole('cell', { name: '2', exact: true }).waitFor()
    const carol = await server.join('carol')
    for (const n of [1, 2]) assert.equal((await carol.next('message')).payload.message, `sealed ${n}`)
    await carol.nothingMore()
  }
)

test("a peer's sessions are closed", BROWSER, async (t) => {
  const server = await startConsoleServer(t)
  const { alice, ann } = await makeBusy(server)
  const page = await openBoard(t, server, 'Peers')
  for (const [name, peer] of [
    ['alice', alice],
    [ann.key, ann]
  ] as const) {
    await rowOf(page, 'Peers', name).getByRole('button', { name: 'Close' }).click()
    if (peer === alice) await shoot(page, 'close')
    await yes(page, 'Close')
    await said(page, '1 session closed.')
    assert.equal((await peer.closed).code, 4004)
    await rowOf(page, 'Peers', name).waitFor({ state: 'detached' })
  }
})

test('a network is created, changed, disabled, enabled and deleted', BROWSER, async (t) => {
  const server = await startConsoleServer(t)
  const page = await openBoard(t, server, 'Networks')
  await page.getByText('There is no L2PS network yet.').waitFor()
  const create = async (uid: string) => {
    await page.getByRole('button', { name: 'New network' }).click()
    await page.getByLabel('Uid').fill(uid)
    await page.getByLabel('Name', { exact: true }).fill('The team')
    await yes(page, 'Create')
  }
  await create('team')
  await said(page, 'Network team created.')
  const ann = await server.enter('team')
  await create('team')
  await page.getByRole('dialog').getByText('There is a network of that uid already').waitFor()
  await shoot(page, 'network-exists')
  await yes(page, 'Cancel')
  await create('not a uid')
  assert.ok(await page.getByRole('dialog').isVisible(), 'the browser refuses the form')
  await page.keyboard.press('Escape')

  const team = rowOf(page, 'Networks', 'team')
  await team.getByRole('button', { name: 'Change' }).click()
  assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), 'The team')
  await page.getByLabel('Everybody may read its audit records').check()
  await shoot(page, 'change')
  await yes(page, 'Change')
  await team.getByText('public').waitFor()

  await team.getByRole('button', { name: 'Disable' }).click()
  await yes(page, 'Disable')
  await said(page, 'Network team disabled.')
  await team.getByText('disabled').waitFor()
  await ann.closed
  await team.getByRole('button', { name: 'Enable' }).click()
  await yes(page, 'Enable')
  await said(page, 'Network team enabled.')
  await team.getByText('enabled').waitFor()

  const again = await server.enter('team')
  again.send({
    type: 'send',
    payload: { to: 'c'.repeat(64), encrypted: { ciphertext: 'AAAA', nonce: 'AAAAAAAAAAAAAAAA' }, messageHash: 'h' }
  })
  await again.next('message_queued')
  await team.getByRole('cell', { name: '1', exact: true }).waitFor()
  await team.getByRole('button', { name: 'Delete' }).click()
  await yes(page, 'Delete')
  await page.getByRole('dialog').getByText('Messages are waiting').waitFor()
  await page.getByLabel('Delete the 1 message waiting in it, for ever').check()
  await shoot(page, 'delete-network')
  await yes(page, 'Delete')
  await said(page, 'Network team deleted.')
  await page.getByText('There is no L2PS network yet.').waitFor()
  await again.closed
})

test('members are listed, added and removed', BROWSER, async (t) => {
  const server = await startConsoleServer(t)
  await server.addNetworks('team')
  const signer = await quickSigner()
  const page = await openBoard(t, server, 'Networks')
  await rowOf(page, 'Networks', 'team').getByRole('button', { name: 'Members' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByText('No member is listed.').waitFor()
  await dialog.getByLabel('New member').fill('nonsense')
  await yes(page, 'Add')
  await dialog.getByText('not a key of 64, 1794 or 3904 hex digits').waitFor()
  await dialog.getByLabel('New member').fill(keyOf(signer))
  await yes(page, 'Add')
  await dialog.getByRole('row', { name: keyOf(signer) }).waitFor()
  await shoot(page, 'members')
  const member = await server.enter('team', signer)
  await assert.rejects(server.enter('team'))
  await dialog.getByRole('button', { name: `Remove ${keyOf(signer)}` }).click()
  await page.getByRole('dialog', { name: 'Remove a member of team' }).waitFor()
  await yes(page, 'Remove')
  await said(page, 'Member removed.')
  await member.closed
  await page.getByRole('dialog', { name: 'Members of team' }).getByText('No member is listed.').waitFor()
})

test('a name is looked up and released, with what waits for its owner only when told so', BROWSER, async (t) => {
  const server = await startConsoleServer(t)
  const { alice } = await makeBusy(server)
  const carol = await server.join('carol')
  for (let n = 0; n < 3; n++) await carol.next('message')
  await carol.close()
  await queue(alice, 'carol', 2)
  const page = await openBoard(t, server, 'Identities')
  await page.getByRole('form', { name: 'Show only' }).getByLabel('Peer').fill('nobody')
  await page.getByText('No match for “nobody”.').waitFor()
  await page.getByRole('form', { name: 'Show only' }).getByLabel('Peer').fill('CAR')
  await rowOf(page, 'Identities', 'carol').getByRole('button', { name: 'Show' }).click()
  const identity = page.getByRole('dialog', { name: 'Identity' })
  await identity.getByText(Buffer.from(carol.identity.signingPublicKey).toString('base64')).waitFor()
  await shoot(page, 'identity')
  await identity.getByRole('button', { name: 'Release the name' }).click()
  await yes(page, 'Release')
  await page.getByRole('dialog').getByText('Messages are waiting').waitFor()
  await page.getByLabel(/Delete the \d messages waiting for its owner/).check()
  await shoot(page, 'release')
  await yes(page, 'Release')
  await said(page, 'The name is released.')
  await server.join('carol') // with another key
  await recorded(server, 'identityRelease')
})

/** Waits until the audit log of signaling has a record of this type. */
async function recorded({ app }: TestServer, type: string): Promise<void> {
  await until(`a record of type ${type}`, async () => {
    const rows = await app.database.sql<{ entry: Uint8Array }[]>`
      select entry from audit_entry join audit_log on log = id where network = 'signaling'`
    return rows.some(({ entry }) => JSON.parse(Buffer.from(entry).toString()).type === type)
  })
}
