// Two people talk on the page at /playground/, in two browsers without anything in common.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { Page } from 'playwright-core'
import decodeQR from 'qr/decode.js'
import { axeFindings, BROWSER, closeBrowser } from '../console/browser.ts'
import { startTestServer } from '../helpers/server.ts'
import { arrive, linkOf, meet, say, shoot, startPlayground } from './people.ts'

after(closeBrowser)

/** The QR code of the page as an image, four pixels a module. */
async function pixels(page: Page): Promise<{ width: number; height: number; data: Uint8Array }> {
  const svg = page.getByRole('img', { name: 'The link as a QR code' })
  const modules = Number((await svg.getAttribute('viewBox'))!.split(' ')[2])
  const path = await svg.locator('path').last().getAttribute('d')
  const width = modules * 4
  const data = new Uint8Array(width * width * 4).fill(255)
  for (const [, x, y] of path!.matchAll(/M(\d+) (\d+)h1v1h-1z/g)) {
    for (let dy = 0; dy < 4; dy++) {
      const at = ((Number(y) * 4 + dy) * width + Number(x) * 4) * 4
      for (let n = 0; n < 16; n++) if (n % 4 !== 3) data[at + n] = 0
    }
  }
  return { width, height: width, data }
}

const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true } as const

test(
  'over signaling: an invitation, a message, its receipt, and only sealed bytes for the relay',
  BROWSER,
  async (t) => {
    const server = await startPlayground(t)
    const { alice, bob } = await meet(t, server, 'signaling')
    await say(alice, 'the secret of the playground')
    await bob.getByText('the secret of the playground').waitFor()
    await alice.getByText(/^you, .*: received$/).waitFor()
    await say(bob, 'and an answer \u{1f44b}')
    await alice.getByText('and an answer \u{1f44b}').waitFor()
    const relay = await alice.locator('.relay code').first().textContent()
    assert.match(relay!, /^\{"algorithm":"ml-kem-aes","serializedEncryptedData":"/)
    await alice
      .getByText(/^alice-[0-9a-f]{6} to bob-[0-9a-f]{6}, 1,\d\d\d bytes sealed$/)
      .first()
      .waitFor()
    await shoot(alice, 'signaling')
  }
)

for (const [via, network] of [
  ['signaling', 'signaling'],
  ['l2ps', 'demo']
] as const) {
  test(`${via}: the proof of a message is verified in both browsers, and a forged one is not`, BROWSER, async (t) => {
    const server = await startPlayground(t)
    const { alice, bob } = await meet(t, server, via)
    await say(alice, 'put this on record')
    await bob.getByText('put this on record').waitFor()
    const verified = new RegExp(`^Verified: accepted at .*, record \\d+ of \\d+ in the signed log .*/${network}$`)
    for (const [page, name] of [
      [alice, 'alice'],
      [bob, 'bob']
    ] as const) {
      await page.getByRole('button', { name: 'Verify the proof' }).click()
      await page.getByText(verified).waitFor()
      await shoot(page, `${via}-${name}`)
    }
    const forged = '{"type":"instantMessaging"}'
    await alice.route(`**/audit/${network}/record/**`, (route) => route.fulfill({ body: forged }))
    await say(alice, 'another')
    await alice.getByRole('button', { name: 'Verify the proof' }).click()
    await alice.getByText(/^The record is/).waitFor()
  })
}

test('the QR code holds the link, and what is in its fragment is never sent to the server', BROWSER, async (t) => {
  const server = await startPlayground(t)
  const asked: string[] = []
  const alice = await arrive(t, server, { name: 'alice', via: 'l2ps' })
  await alice.getByText('Nobody is here yet: send somebody the link.').waitFor()
  alice.on('request', (request) => asked.push(request.url()))
  const link = await linkOf(alice)
  assert.equal(decodeQR(await pixels(alice)), link)
  assert.match(new URL(link).hash, /key=[0-9a-f]{64}/)
  await shoot(alice, 'invitation')
  await alice.reload()
  assert.ok(asked.length > 0 && asked.every((url) => !url.includes('#') && !url.includes('key=')))
  await shoot(alice, 'before')
})

test('a relay that gives another key than the invitation names is found out', BROWSER, async (t) => {
  const server = await startPlayground(t)
  const alice = await arrive(t, server, { name: 'alice' })
  const link = await linkOf(alice)
  const changed = link.replace(/fingerprint=[0-9a-f]{4}/, 'fingerprint=0000')
  const bob = await arrive(t, server, { name: 'bob', link: changed })
  await bob
    .getByText(/gives another key than the invitation names/)
    .first()
    .waitFor()
})

test('a message to somebody who is away is kept, and read by who comes back to the tab', BROWSER, async (t) => {
  const server = await startPlayground(t)
  const { alice, bob } = await meet(t, server, 'signaling')
  const link = bob.url()
  await bob.goto('about:blank')
  await alice.getByText('The other is away').waitFor()
  await say(alice, 'read this later')
  await alice.getByText(/kept by the relay until the other is back$/).waitFor()
  await bob.goto(link)
  await bob.getByLabel('Your name').fill('bob')
  await bob.keyboard.press('Enter')
  await bob.getByText('read this later').waitFor()
  await alice.getByText(/^you, .*: received$/).waitFor()
})

test('on a phone, in the dark, by keyboard alone: nothing is wider than the page', BROWSER, async (t) => {
  const server = await startPlayground(t)
  const { alice, bob } = await meet(t, server, 'l2ps', { options: { ...PHONE, colorScheme: 'dark' } })
  await say(alice, 'hello from a phone')
  await bob.getByText('hello from a phone').waitFor()
  await alice.getByText(/: received$/).waitFor()
  await say(bob, 'a-very-long-word-without-any-space-'.repeat(6))
  await alice.getByText(/^a-very-long/).waitFor()
  const width = await alice.evaluate(() => document.documentElement.scrollWidth)
  assert.equal(width, 390)
  await shoot(alice, 'phone-dark')
})

test('everything that can be used has a name, and the keyboard reaches it', BROWSER, async (t) => {
  const server = await startPlayground(t)
  const page = await arrive(t, server, { name: 'alice' })
  const nameless = await page.evaluate(() =>
    Array.from(document.querySelectorAll('button, input, video, progress, [role=log]'))
      .filter((each) => {
        const label = (each as HTMLInputElement).labels?.[0]?.textContent
        return !(each.getAttribute('aria-label') ?? label ?? each.textContent)?.trim()
      })
      .map((each) => each.outerHTML)
  )
  assert.deepEqual(nameless, [])
  const focused = () => page.evaluate(() => document.activeElement?.id ?? '')
  await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur())
  const reached = new Set<string>()
  for (let n = 0; n < 8; n++) {
    await page.keyboard.press('Tab')
    reached.add(await focused())
  }
  assert.deepEqual(await axeFindings(page), [])
  for (const id of ['text', 'link', 'copy']) assert.ok(reached.has(id), `${id} in ${[...reached]}`)
})

test('the page is on by default on this machine alone, with a policy that allows nothing from elsewhere', async (t) => {
  const server = await startTestServer(t)
  const answer = await fetch(`${server.addresses.http}/playground/`)
  assert.equal(answer.status, 200)
  assert.match(
    answer.headers.get('content-security-policy')!,
    /^default-src 'none'; script-src 'self'; style-src 'self';/
  )
  assert.doesNotMatch(answer.headers.get('content-security-policy')!, /unsafe/)
  const redirect = await fetch(`${server.addresses.http}/playground`, { redirect: 'manual' })
  assert.equal(redirect.status, 308)
  const off = await startTestServer(t, { PLAYGROUND: 'false' })
  assert.equal((await fetch(`${off.addresses.http}/playground/`)).status, 404)
  const public_ = await startTestServer(t, { HOST: '0.0.0.0' })
  const { port } = new URL(public_.addresses.http)
  assert.equal((await fetch(`http://127.0.0.1:${port}/playground/`)).status, 404)
})
