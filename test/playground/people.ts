// Two people with a browser each, on the page at /playground/ of a real server.
import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { BrowserContextOptions, Page } from 'playwright-core'
import { axeFindings, newTab } from '../console/browser.ts'
import { startTestServer, type TestServer } from '../helpers/server.ts'

/** Where pictures go, for people to look at; unset: none are taken. */
const SHOTS = process.env.PLAYGROUND_SHOTS

export async function startPlayground(t: TestContext): Promise<TestServer> {
  const server = await startTestServer(t)
  await server.addNetworks('demo')
  return server
}

export interface Arriving {
  readonly name: string
  readonly via?: 'signaling' | 'l2ps'
  /** The link somebody sent. */
  readonly link?: string
  readonly options?: BrowserContextOptions
  /** Runs in the page before its own script. */
  readonly before?: () => void
}

/** A person with a browser of their own, connected. */
export async function arrive(t: TestContext, { addresses }: TestServer, arriving: Arriving): Promise<Page> {
  const { name, via, link = `${addresses.http}/playground/`, options, before } = arriving
  const page = await newTab(t, options)
  if (before !== undefined) await page.addInitScript(before)
  await page.goto(link)
  await page.getByLabel('Your name').fill(name)
  if (via === 'l2ps') await page.getByLabel('L2PS network').check()
  await page.getByRole('button', { name: 'Make my keys and connect' }).click()
  await page.getByText(`Connected as ${name}`).waitFor()
  return page
}

/** The invitation that the page shows. */
export async function linkOf(page: Page): Promise<string> {
  await page.getByRole('img', { name: 'as a QR code' }).waitFor()
  return page.getByRole('textbox', { name: 'Link' }).inputValue()
}

/** Alice invites, bob comes by her link. */
export async function meet(
  t: TestContext,
  server: TestServer,
  via: 'signaling' | 'l2ps',
  each: Pick<Arriving, 'options' | 'before'> = {}
): Promise<{ alice: Page; bob: Page }> {
  const alice = await arrive(t, server, { name: 'alice', via, ...each })
  const link = await linkOf(alice)
  const bob = await arrive(t, server, { name: 'bob', link, ...each })
  await alice.getByText('You talk with bob.').waitFor()
  return { alice, bob }
}

export async function say(page: Page, text: string): Promise<void> {
  await page.getByLabel('Message', { exact: true }).fill(text)
  await page.keyboard.press('Enter')
}

/** The page as it is: axe-core finds nothing wrong with it, and a picture is taken. */
export async function shoot(page: Page, name: string): Promise<void> {
  assert.deepEqual(await axeFindings(page), [], name)
  if (SHOTS === undefined) return
  await mkdir(SHOTS, { recursive: true })
  await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true })
}
