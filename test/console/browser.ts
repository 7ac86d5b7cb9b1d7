// The console in a real browser, against the real server.
import assert from 'node:assert/strict'
import { mkdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { BrowserContextOptions, Page } from 'playwright-core'
import { atEnd } from '../helpers/at-end.ts'
import { connectBrowser } from '../helpers/chromium.ts'
import { needs } from '../helpers/programs.ts'
import { type Settings, startTestServer, type TestServer } from '../helpers/server.ts'

export { closeBrowser, ELSEWHERE } from '../helpers/chromium.ts'

export const BROWSER = needs('chromium')
export const TOKEN = 'a-token-for-tests-only'
/** Where pictures of every state go, for people to look at; unset: none are taken. */
const SHOTS = process.env.CONSOLE_SHOTS

/** The real server, administered with `TOKEN`. */
export const startConsoleServer = (t: TestContext, settings: Settings = {}): Promise<TestServer> =>
  startTestServer(t, { ADMIN_TOKEN: TOKEN, ...settings })

/**
 * A tab; what it shows must complain of nothing until the test ends: no exception, no refused script or style. (Chromium
 * also logs answers that are errors; those are asked for.)
 */
export async function newTab(t: TestContext, options: BrowserContextOptions = {}): Promise<Page> {
  const context = await (await connectBrowser()).newContext({ viewport: { width: 1280, height: 900 }, ...options })
  atEnd(t, () => context.close())
  const page = await context.newPage()
  page.setDefaultTimeout(15_000)
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('console', (message) => {
    const isAnswer = message.text().startsWith('Failed to load resource')
    if ((message.type() === 'error' || message.type() === 'warning') && !isAnswer) complaints.push(message.text())
  })
  atEnd(t, () => assert.deepEqual(complaints, []))
  return page
}

type Addressed = Pick<TestServer, 'addresses'>

/** The page as it opens. */
export async function openPage(t: TestContext, { addresses }: Addressed, options?: BrowserContextOptions) {
  const page = await newTab(t, options)
  await page.goto(`${addresses.http}/console/`)
  return page
}

/** The page with the token given, its figures there. */
export async function openBoard(
  t: TestContext,
  server: Addressed,
  name = 'Overview',
  options?: BrowserContextOptions
): Promise<Page> {
  const page = await openPage(t, server, options)
  await enter(page)
  if (name !== 'Overview') await goTo(page, name)
  return page
}

export async function enter(page: Page): Promise<void> {
  await page.getByLabel('Admin token').fill(TOKEN)
  await page.keyboard.press('Enter')
  await page.getByText('Live', { exact: true }).waitFor()
}

/** Goes to a page of the console by its link. */
export async function goTo(page: Page, name: string): Promise<void> {
  await page.getByRole('navigation', { name: 'Pages of the console' }).getByRole('link', { name }).click()
  await page.getByRole('heading', { level: 1, name }).waitFor({ state: 'attached' })
}

/** The page on a clock that the test can put forward (`page.clock`). */
export async function openClockedBoard(t: TestContext, { addresses }: Addressed): Promise<Page> {
  const page = await newTab(t)
  await page.clock.install()
  await page.goto(`${addresses.http}/console/`)
  await enter(page)
  return page
}

/** A picture of the whole page, or of its dialog over it, for people, where `CONSOLE_SHOTS` says. */
export async function shoot(page: Page, name: string): Promise<void> {
  if (SHOTS === undefined) return
  await mkdir(SHOTS, { recursive: true })
  const fullPage = await page.getByRole('dialog').isHidden()
  await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage })
}

/** What axe-core finds wrong, of every rule of WCAG and of good practice. */
export async function axeFindings(page: Page): Promise<string[]> {
  await page.evaluate(await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8'))
  return page.evaluate(`axe.run().then(({ violations }) =>
    violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => id + ': ' + html.slice(0, 160))))`)
}
