// The documents as people see them: in a browser, under the policy they are served with.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { Page } from 'playwright-core'
import { PROBLEMS, type ProblemName, problemType } from '../../src/protocol/problems.ts'
import { closeBrowser, connectBrowser } from '../helpers/chromium.ts'
import { needs } from '../helpers/programs.ts'
import { startTestServer } from '../helpers/server.ts'

const TOKEN = 'a-token-for-tests-only'

after(closeBrowser)

/** A page, and everything the browser complained of: broken policies, scripts that fail, what cannot be loaded. */
async function openPage(): Promise<{ page: Page; complaints: string[] }> {
  const page = await (await connectBrowser()).newPage()
  const complaints: string[] = []
  page.on('console', (line) => line.type() === 'error' && complaints.push(line.text()))
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('requestfailed', (request) => complaints.push(`${request.url()}: ${request.failure()?.errorText}`))
  page.on(
    'response',
    (response) => response.status() >= 400 && complaints.push(`${response.url()}: ${response.status()}`)
  )
  return { page, complaints }
}

test('the UI shows every route and asks with the token, under its policy', needs('chromium'), async (t) => {
  const server = await startTestServer(t, { ADMIN_TOKEN: TOKEN })
  await server.join('alice')
  const { page, complaints } = await openPage()
  await page.goto(`${server.addresses.http}/docs/`)
  await page.getByRole('button', { name: 'Authorize' }).first().click()
  await page.locator('.modal-ux input').fill(TOKEN)
  await page.locator('.modal-ux').getByRole('button', { name: 'Apply credentials' }).click()
  await page.locator('.modal-ux').getByRole('button', { name: 'Close' }).last().click()
  const operation = page.locator('.opblock', { hasText: '/admin/peers' }).first()
  await operation.locator('.opblock-summary-control').click()
  await operation.getByRole('button', { name: 'Try it out' }).click()
  await operation.getByRole('button', { name: 'Execute' }).click()
  const answer = operation.locator('.live-responses-table .response')
  await answer.waitFor()
  assert.match(await answer.locator('.response-col_status').innerText(), /^200/)
  assert.match(await answer.innerText(), /"peer": "alice"/)
  assert.deepEqual(complaints, [])
  const shown = await page.locator('.opblock-summary-path').allInnerTexts()
  const { paths } = (await server.app.inject('/docs/openapi.json')).json() as { paths: Record<string, object> }
  const documented = Object.entries(paths).flatMap(([path, operations]) => Object.keys(operations).map(() => path))
  assert.deepEqual(shown.map((path) => path.replaceAll('\u200b', '')).sort(), documented.sort())
})

test(
  'the pages of frames and errors lead everywhere they say, and fit a narrow window',
  needs('chromium'),
  async (t) => {
    const server = await startTestServer(t)
    const { page, complaints } = await openPage()
    await page.setViewportSize({ width: 360, height: 640 })
    for (const name of ['asyncapi', 'errors']) {
      await page.goto(`${server.addresses.http}/docs/${name}`)
      const width = await page.evaluate(() => document.documentElement.scrollWidth)
      assert.ok(width <= 360, `${name} is ${width} pixels wide`)
      const links = await page
        .locator('a')
        .evaluateAll((found) => found.map((link) => (link as HTMLAnchorElement).href))
      assert.ok(links.length > 0)
      for (const link of links) {
        const { hash } = new URL(link)
        if (hash === '') assert.ok((await page.request.get(link)).ok(), link)
        else assert.equal(await page.locator(hash).count(), 1, link)
      }
    }
    await page.goto(`${server.addresses.http}${problemType('messages-waiting')}`)
    assert.match(await page.locator('tr:has(:target)').innerText(), /Messages are waiting/)
    assert.deepEqual(complaints, [])
  }
)

test('the type of every problem is a place on the page of errors', async (t) => {
  const server = await startTestServer(t)
  for (const name of Object.keys(PROBLEMS) as ProblemName[]) {
    const [path, id] = problemType(name).split('#')
    const answer = await server.app.inject(path!)
    assert.equal(answer.statusCode, 200)
    assert.equal(answer.body.split(`id="${id}"`).length, 2, `${name} is there once`)
  }
})
