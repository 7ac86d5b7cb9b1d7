import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { startPostgres } from '../helpers/database.ts'
import {
  BROWSER,
  closeBrowser,
  enter,
  goTo,
  newTab,
  openBoard,
  openClockedBoard,
  openPage,
  shoot,
  startConsoleServer,
  TOKEN
} from './browser.ts'
import { makeBusy, queue } from './busy.ts'

after(closeBrowser)

test('the token is asked once, kept by the open tabs alone, and forgotten on demand', BROWSER, async (t) => {
  const server = await startConsoleServer(t)
  const page = await openPage(t, server)
  await shoot(page, 'token')
  await page.getByLabel('Admin token').fill('not-the-token-at-all')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByText('This is not the token.').waitFor()
  assert.equal(await page.evaluate('sessionStorage.length'), 0)
  await shoot(page, 'token-wrong')
  await page.getByLabel('Admin token').fill(TOKEN)
  await page.keyboard.press('Enter')
  await page.getByText('Live', { exact: true }).waitFor()
  assert.equal(await page.evaluate('localStorage.length + document.cookie.length'), 0)
  await page.reload()
  await page.getByText('Live', { exact: true }).waitFor()
  await shoot(page, 'empty')
  const other = await page.context().newPage()
  await other.goto(page.url())
  await other.getByText('Live', { exact: true }).waitFor()
  await page.close()
  await other.reload()
  await other.getByText('Live', { exact: true }).waitFor()
  const third = await other.context().newPage()
  await third.goto(other.url())
  await third.getByRole('button', { name: 'Sign out' }).click()
  for (const tab of [third, other]) {
    await tab.getByLabel('Admin token').waitFor()
    assert.equal(await tab.evaluate('sessionStorage.length + localStorage.length'), 0)
    assert.doesNotMatch(await tab.content(), new RegExp(TOKEN))
  }
  const later = await other.context().newPage()
  await later.goto(other.url())
  await later.getByLabel('Admin token').waitFor()
})

test(
  'a tab that answers late still spares the next one the question, and a wrong token is told to nobody',
  BROWSER,
  async (t) => {
    const server = await startConsoleServer(t)
    const page = await newTab(t)
    await page.context().addInitScript(() => {
      const { postMessage } = BroadcastChannel.prototype
      BroadcastChannel.prototype.postMessage = function (message) {
        setTimeout(() => postMessage.call(this, message), 1_000) // longer than a new tab waits before it asks a person
      }
    })
    const console = `${server.addresses.http}/console/`
    await page.goto(console)
    let answer = () => {}
    const isAsked = new Promise<void>((resolve) => {
      answer = resolve
    })
    await page.route('**/admin/stats', async (route) => {
      await isAsked
      await route.continue()
    })
    await page.getByLabel('Admin token').fill('not-the-token-at-all')
    await page.keyboard.press('Enter')
    const other = await page.context().newPage()
    const refused: string[] = []
    other.on('response', (response) => response.status() === 401 && refused.push(response.url()))
    await other.goto(console)
    await other.getByLabel('Admin token').waitFor()
    await other.waitForTimeout(2_500) // it has asked the first tab, which is trying a token
    answer()
    await page.getByText('This is not the token.').waitFor()
    await page.unroute('**/admin/stats')
    await enter(page)
    await other.getByText('Live', { exact: true }).waitFor()
    assert.deepEqual(refused, [])
    const third = await page.context().newPage()
    await third.goto(console)
    await third.getByText('Live', { exact: true }).waitFor()
  }
)

test('the figures are those of real peers of both protocols, and rates are drawn', BROWSER, async (t) => {
  const server = await startConsoleServer(t)
  const busy = await makeBusy(server)
  const page = await openBoard(t, server)
  const row = (section: string, name: string) =>
    page.getByRole('region', { name: section }).getByRole('row', { name: new RegExp(`^${name}`) })
  await row('Sessions', 'Signaling').getByRole('cell', { name: '2', exact: true }).first().waitFor()
  await row('Sessions', 'L2PS').getByRole('cell', { name: '1', exact: true }).first().waitFor()
  for (let turn = 0; turn < 25; turn++) await busy.exchange()
  await page.locator('#rate-accepted', { hasText: /[1-9]/ }).waitFor()
  await page.locator('#rates path.line').first().waitFor()
  assert.match((await page.locator('#rates').getAttribute('aria-label')) ?? '', /at most [1-9][\d,.]* accepted/)
  await page.locator('#rates').hover()
  assert.match(await page.locator('#rate-time').innerText(), /^at \d\d:\d\d:\d\d$/)
  await page.mouse.move(0, 0)
  await page.locator('#rate-accepted', { hasText: /^0$/ }).waitFor() // and they come to rest
  await page.locator('.bars li', { hasText: 'pong' }).getByText('100 %').waitFor()
  await shoot(page, 'figures')

  await row('Waiting', 'L2PS').getByRole('link').first().click() // from a number to what it counts
  assert.match(await row('Queues', 'carol').innerText(), /signaling\s+3\s+/)
  assert.match(await row('Queues', 'c{64}').innerText(), /team\s+1\s+/)
  await goTo(page, 'Peers')
  for (const name of ['alice', 'bob', busy.ann.key]) await row('Peers', name).waitFor()
  await goTo(page, 'Networks')
  await row('Networks', 'closed-circle').waitFor()
  assert.match(await row('Networks', 'closed-circle').innerText(), /enabled\s+2 members/)
})

test('a server without L2PS says that it has none', BROWSER, async (t) => {
  const server = await startConsoleServer(t, { L2PS_MESSAGING_ENABLED: 'false' })
  const page = await openBoard(t, server, 'Networks')
  await page.getByText('L2PS messaging is turned off.').waitFor()
  assert.ok(await page.getByRole('button', { name: 'New network' }).isHidden())
  assert.ok(await page.getByText('Live', { exact: true }).isVisible())
})

test('a long list comes page by page', BROWSER, async (t) => {
  const server = await startConsoleServer(t)
  await server.addNetworks(...Array.from({ length: 60 }, (_, number) => `net-${String(number).padStart(2, '0')}`))
  const page = await openBoard(t, server, 'Networks')
  const networks = page.getByRole('region', { name: 'Networks' })
  const names = () => networks.locator('tbody tr td:first-child').allInnerTexts()
  await networks.getByText('1–25 of 60').waitFor()
  assert.equal((await names())[0], 'net-00')
  await networks.getByRole('button', { name: 'Next' }).click()
  await networks.getByText('26–50').waitFor()
  await networks.getByRole('button', { name: 'Next' }).click()
  await networks.getByText('51–60').waitFor()
  assert.deepEqual([(await names())[0], (await names()).length], ['net-50', 10])
  assert.ok(await networks.getByRole('button', { name: 'Next' }).isDisabled())
  await networks.getByRole('button', { name: 'Previous' }).click()
  await networks.getByText('26–50').waitFor()
})

test('the server gone: the last figures stay, the page says since when, and goes on by itself', BROWSER, async (t) => {
  const server = await startConsoleServer(t)
  const busy = await makeBusy(server)
  const page = await openBoard(t, server, 'Queues')
  const carol = page.getByRole('region', { name: 'Queues' }).getByRole('row', { name: /^carol/ })
  await carol.waitFor()
  await server.close()
  await page.getByText(/The server does not answer\. The figures are from \d\d:\d\d:\d\d;/).waitFor()
  await page.getByText('No answer').waitFor()
  assert.ok(await carol.isVisible())
  await shoot(page, 'gone')
  await carol.getByRole('button', { name: 'Purge' }).click()
  await page.getByRole('dialog').getByText('The server does not answer.').waitFor()
  await shoot(page, 'gone-dialog')
  await page.keyboard.press('Escape')
  const { port } = new URL(server.addresses.http)
  const again = await startConsoleServer(t, { DATABASE_URL: server.databaseUrl, RPC_SIGNALING_PORT: port })
  assert.equal(again.addresses.http, server.addresses.http)
  await page.getByText('Live', { exact: true }).waitFor()
  assert.ok(await page.locator('#problem').isHidden())
  assert.equal((await busy.alice.closed).code, 1001)
  await goTo(page, 'Peers')
  await page.getByText('Nobody is connected.').waitFor()
})

test('another token since: the page asks again, and shows nothing meanwhile', BROWSER, async (t) => {
  const server = await startConsoleServer(t)
  const page = await openBoard(t, server)
  await page.evaluate("sessionStorage.setItem('demos-relay token', 'the-token-of-yesterday')")
  await page.getByText('The token is wrong, or was changed.').waitFor()
  assert.ok(await page.locator('#board').isHidden())
  assert.equal(await page.evaluate('sessionStorage.length'), 0)
})

test('asking too often: the page says so, and asks nothing until it may', BROWSER, async (t) => {
  const server = await startConsoleServer(t, { ADMIN_REQUESTS_PER_MINUTE: 8 })
  const page = await openClockedBoard(t, server)
  await page.getByText(/This address asks too often\..* by itself at \d\d:\d\d:\d\d\./).waitFor()
  await page.getByText('Paused').waitFor()
  await shoot(page, 'paused')
  await page.waitForLoadState('networkidle')
  const asked: string[] = []
  page.on('request', (request) => asked.push(request.url()))
  await page.clock.runFor(20_000)
  assert.deepEqual(asked, [])
  const next = page.waitForRequest('**/admin/stats')
  await page.clock.runFor(40_000)
  await next
})

test('the database away: the page says so and recovers with it', BROWSER, async (t) => {
  const postgres = await startPostgres(t)
  const server = await startConsoleServer(t, {
    DATABASE_URL: postgres.url('demos_relay'),
    DATABASE_DEADLINE_MS: 1_000
  })
  await queue(await server.join('alice'), 'carol', 1)
  const page = await openBoard(t, server, 'Peers')
  const alice = page.getByRole('region', { name: 'Peers' }).getByRole('row', { name: /^alice/ })
  await alice.waitFor()
  await postgres.kill()
  await page.getByText('Database away').waitFor()
  await shoot(page, 'database-away')
  assert.ok(await alice.isVisible(), 'what was known stays')
  await alice.getByRole('button', { name: 'Close' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Close', exact: true }).click()
  await page.getByRole('dialog').getByText('The database does not answer.').waitFor()
  await page.keyboard.press('Escape')
  await postgres.start()
  await page.getByText('Live', { exact: true }).waitFor()
})

test('a tab that is not seen does not ask', BROWSER, async (t) => {
  const server = await startConsoleServer(t)
  const page = await openClockedBoard(t, server)
  const see = (isHidden: boolean) =>
    page.evaluate(`Object.defineProperty(document, 'hidden', { value: ${isHidden}, configurable: true });
      document.dispatchEvent(new Event('visibilitychange'))`)
  await see(true)
  await page.waitForLoadState('networkidle')
  const asked: string[] = []
  page.on('request', (request) => asked.push(request.url()))
  await page.clock.runFor(60_000)
  assert.deepEqual(asked, [])
  const next = page.waitForRequest('**/admin/stats')
  await see(false)
  await next
})

test('names of strangers are only ever text, and cannot turn round what stands beside them', BROWSER, async (t) => {
  const server = await startConsoleServer(t)
  const image = '<img src=x onerror="document.title=1">'
  const reversed = 'admin\u202egnp.exe'
  const hidden = 'ali\u200bce'
  const rightToLeft = 'שלום'
  const names = [image, reversed, hidden, rightToLeft, '"><script>1</script>', '..', 'a/b?c#d %2F', 'x'.repeat(256)]
  for (const name of names) await server.join(name)
  const page = await openBoard(t, server, 'Peers')
  const peers = page.getByRole('region', { name: 'Peers' })
  await peers
    .locator('tbody tr')
    .nth(names.length - 1)
    .waitFor()
  const shown = await peers.locator('tbody tr td:first-child bdi').allTextContents()
  assert.deepEqual(
    shown.sort(),
    names.map((name) => name.replace('\u202e', '‹U+202E›').replace('\u200b', '‹U+200B›')).sort()
  )
  assert.equal(await peers.locator('img, script').count(), 0)
  assert.equal(await page.title(), 'Peers · Demos Relay')
  await shoot(page, 'hostile')
  for (const name of [image, 'a/b?c#d %2F', rightToLeft]) {
    const row = peers.getByRole('row').filter({ has: page.locator('td:first-child').getByText(name, { exact: true }) })
    await row.getByRole('button', { name: 'Identity' }).click()
    await page
      .getByRole('dialog', { name: 'Identity' })
      .locator('.terms bdi')
      .getByText(name, { exact: true })
      .waitFor()
    await page.keyboard.press('Escape')
    await row.getByRole('button', { name: 'Close' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Close', exact: true }).click()
    await row.waitFor({ state: 'detached' })
  }
  const dots = peers.getByRole('row').filter({ has: page.locator('td:first-child').getByText('..', { exact: true }) })
  await dots.getByRole('button', { name: 'Close' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Close', exact: true }).click()
  await page.getByRole('dialog').getByText('A browser cannot ask for the name “..”').waitFor()
})
