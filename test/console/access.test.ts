import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { Page } from 'playwright-core'
import {
  axeFindings,
  BROWSER,
  closeBrowser,
  enter,
  goTo,
  openBoard,
  openPage,
  shoot,
  startConsoleServer,
  TOKEN
} from './browser.ts'
import { makeBusy, queue } from './busy.ts'

after(closeBrowser)

/** What has the focus, as it is called, and whether that can be seen. */
const focused = (page: Page): Promise<{ name: string; isOutlined: boolean }> =>
  page.evaluate(`(() => {
    const { activeElement: it } = document
    const name = it.getAttribute('aria-label') ?? (it.labels?.[0]?.textContent || it.textContent)
    const { outlineStyle, outlineWidth } = getComputedStyle(it)
    return { name: it === document.body ? '(nothing)' : name.trim(), isOutlined: outlineStyle !== 'none' && outlineWidth !== '0px' }
  })()`)

async function tabTo(page: Page, wanted: string): Promise<string[]> {
  const passed: string[] = []
  for (let step = 0; step < 60; step++) {
    await page.keyboard.press('Tab')
    const { name, isOutlined } = await focused(page)
    assert.ok(isOutlined || name === '(nothing)', `the focus on ${name} is not seen`)
    if (name === wanted) return passed
    passed.push(name)
  }
  throw new Error(`Tab never came to ${wanted}, but to ${passed.join(', ')}`)
}

test(
  'with the keyboard alone: in, to a queue, into its dialog, out by Escape, and back where it was',
  BROWSER,
  async (t) => {
    const server = await startConsoleServer(t)
    await makeBusy(server)
    const page = await openPage(t, server)
    await page.locator('#token:focus').waitFor() // once no other tab knows the token
    assert.equal((await focused(page)).name, 'Admin token')
    await page.keyboard.type(TOKEN)
    await page.keyboard.press('Enter')
    await page.getByText('Live', { exact: true }).waitFor()
    assert.equal((await focused(page)).name, 'Overview')
    await page.keyboard.press('Shift+Tab')
    assert.equal((await focused(page)).name, 'Events')
    for (const name of ['Audit', 'Relays', 'Networks', 'Identities', 'Peers', 'Queues']) {
      await page.keyboard.press('Shift+Tab')
      assert.equal((await focused(page)).name, name)
    }
    await page.keyboard.press('Enter')
    const row = page.getByRole('row', { name: /^carol/ })
    await row.waitFor()
    assert.equal((await focused(page)).name, 'Queues')
    const passed = await tabTo(page, 'Purge the queue of carol')
    assert.deepEqual(passed.slice(0, 7), [
      'Recipient',
      'Network',
      'Recipient',
      'Messages',
      'Size',
      'Oldest',
      'signaling'
    ])
    assert.deepEqual(passed.slice(-2), ['Show the queue of carol', 'Requeue the messages for carol'])
    await page.keyboard.press('Enter')
    const dialog = page.getByRole('dialog')
    await dialog.getByRole('button', { name: 'Delete 3 messages' }).waitFor()
    assert.equal((await focused(page)).name, 'Only from this sender')
    assert.deepEqual(await tabTo(page, 'Delete 3 messages'), [
      'AcceptedAny ageOlder than an hourOlder than a dayOlder than a week',
      'Cancel'
    ])
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'hidden' })
    assert.equal((await focused(page)).name, 'Purge the queue of carol')
    await page.keyboard.press('Enter')
    await dialog.getByRole('button', { name: 'Delete 3 messages' }).waitFor()
    await tabTo(page, 'Delete 3 messages')
    await page.keyboard.press('Enter')
    await page.getByRole('row', { name: /^carol/ }).waitFor({ state: 'detached' })
    await page.locator('h2:focus', { hasText: 'Queues' }).waitFor() // its row is gone: the focus is on the heading
    await page.getByRole('link', { name: 'Skip to the content' }).focus()
    await page.keyboard.press('Enter')
    assert.equal(await page.evaluate('document.activeElement.id'), 'main')
    assert.match(page.url(), /#queues$/, 'the page stays')
  }
)

test('the focus stays with a row that moves, and goes to the heading when the row is gone', BROWSER, async (t) => {
  const server = await startConsoleServer(t)
  const { alice } = await makeBusy(server)
  await queue(alice, 'dave', 2)
  const page = await openBoard(t, server, 'Queues')
  const purge = page.getByRole('button', { name: 'Purge the queue of dave' })
  await purge.focus()
  const isFirst = (name: RegExp) => page.locator('#queues tbody tr:first-child', { hasText: name }).waitFor()
  await isFirst(/carol/)
  await queue(alice, 'dave', 3)
  await isFirst(/dave/)
  assert.equal((await focused(page)).name, 'Purge the queue of dave')
  await page.keyboard.press('Enter')
  await page.getByRole('dialog').waitFor()
  await server.join('dave') // who takes the messages
  await purge.waitFor({ state: 'detached' })
  await page.keyboard.press('Escape')
  await page.locator('h2:focus', { hasText: 'Queues' }).waitFor()
})

const REGIONS: Readonly<Record<string, readonly string[]>> = {
  Overview: ['Messages a second', 'Receipts by strength', 'Sessions', 'Waiting', 'Event loop', 'History'],
  ...{ Queues: ['Queues'], Peers: ['Peers'], Identities: ['Identities'], Networks: ['Networks'] },
  ...{ Relays: ['Relays'], Audit: ['Audit logs'], Events: ['Events'] }
}

test(
  'on every page every control has a name, every table a caption, every part a heading, and axe finds nothing',
  BROWSER,
  async (t) => {
    const server = await startConsoleServer(t)
    await makeBusy(server)
    await server.app.writeMinute()
    const page = await openBoard(t, server)
    for (const [name, regions] of Object.entries(REGIONS)) {
      await goTo(page, name)
      for (const region of regions) {
        await page.getByRole('region', { name: region }).getByRole('heading', { level: 2, name: region }).waitFor()
      }
      await page.waitForLoadState('networkidle')
      const tree = await page.locator('body').ariaSnapshot()
      const controls = tree
        .split('\n')
        .filter((line) =>
          /- (button|textbox|searchbox|link|combobox|checkbox|img|table|dialog|region|form)\b/.test(line)
        )
      assert.ok(controls.length > 10, tree)
      for (const line of controls) assert.match(line, /- \w+ "[^"]+"/, line.trim())
      const names = controls.filter((line) => line.includes('- button')).map((line) => line.trim())
      assert.equal(new Set(names).size, names.length, `${name}: no two buttons are called the same`)
      assert.deepEqual(await axeFindings(page), [], name)
    }
  }
)

for (const colorScheme of ['light', 'dark'] as const) {
  test(`${colorScheme}: every text can be read, on every page and in a dialog`, BROWSER, async (t) => {
    const server = await startConsoleServer(t)
    const busy = await makeBusy(server)
    const page = await openPage(t, server, { colorScheme })
    assert.deepEqual(await faintTexts(page), [])
    await shoot(page, `token-${colorScheme}`)
    await page.getByLabel('Admin token').fill('wrong')
    await page.keyboard.press('Enter')
    await page.getByText('This is not the token.').waitFor()
    assert.deepEqual(await faintTexts(page), [])
    await enter(page) // rates are of what comes after the first figures
    for (let turn = 0; turn < 25; turn++) await busy.exchange()
    await page.locator('#rates path.line').first().waitFor()
    for (const name of Object.keys(REGIONS)) {
      await goTo(page, name)
      await shoot(page, `${name.toLowerCase()}-${colorScheme}`)
      assert.deepEqual(await faintTexts(page), [])
    }
    await goTo(page, 'Audit')
    await page
      .getByRole('row', { name: /^signaling/ })
      .getByRole('button', { name: 'Verify' })
      .click()
    await page.getByText(/^Right/).waitFor()
    assert.deepEqual(await faintTexts(page), [])
    await goTo(page, 'Queues')
    await page
      .getByRole('row', { name: /^carol/ })
      .getByRole('button', { name: 'Purge' })
      .click()
    await page.getByRole('button', { name: 'Delete 3 messages' }).waitFor()
    await shoot(page, `dialog-${colorScheme}`)
    assert.deepEqual(await faintTexts(page), [])
    await page.keyboard.press('Escape')
    await server.close()
    await page.getByText('No answer').waitFor()
    await shoot(page, `gone-${colorScheme}`)
    assert.deepEqual(await faintTexts(page), [])
  })
}

for (const colorScheme of ['light', 'dark'] as const) {
  test(`${colorScheme}: 360 pixels are wide enough, nothing scrolls sideways`, BROWSER, async (t) => {
    const server = await startConsoleServer(t)
    await makeBusy(server)
    await server.join('w'.repeat(256))
    const options = { colorScheme, viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true }
    const page = await openPage(t, server, options)
    await assertFits(page)
    await shoot(page, `narrow-token-${colorScheme}`)
    await enter(page)
    await page.locator('#rates path.line').first().waitFor({ state: 'attached' })
    for (const name of [...Object.keys(REGIONS), 'Queues']) {
      await goTo(page, name)
      await page.waitForLoadState('networkidle')
      await assertFits(page)
      await shoot(page, `narrow-${name.toLowerCase()}-${colorScheme}`)
    }
    await page.getByRole('row', { name: /carol/ }).waitFor()
    await page.getByRole('button', { name: 'Purge the queue of carol' }).click()
    await page.getByRole('button', { name: 'Delete 3 messages' }).waitFor()
    await assertFits(page)
    await shoot(page, `narrow-dialog-${colorScheme}`)
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.getByRole('button', { name: 'Show the queue of carol' }).click()
    await page.getByRole('dialog').getByRole('row', { name: /alice/ }).first().waitFor()
    await assertFits(page)
    await shoot(page, `narrow-entries-${colorScheme}`)
  })
}

async function assertFits(page: Page): Promise<void> {
  const wide = await page.evaluate(`[...document.querySelectorAll('body *')]
    .filter((it) => it.checkVisibility() && it.getClientRects().length > 0 && !it.closest('.unseen, .skip, thead'))
    .filter((it) => it.getBoundingClientRect().right > innerWidth + 0.5 || it.scrollWidth > it.clientWidth + 1 && getComputedStyle(it).overflowX === 'auto')
    .map((it) => it.outerHTML.slice(0, 120))`)
  assert.deepEqual(wide, [])
  assert.equal(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), true)
}

/** Texts with less contrast to what is behind them than WCAG 2.2 AA asks: 4.5, and 3 for large ones. */
const faintTexts = (page: Page): Promise<string[]> =>
  page.evaluate(`(() => {
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
    const rgba = (colour) => {
      canvas.clearRect(0, 0, 1, 1)
      canvas.fillStyle = colour
      canvas.fillRect(0, 0, 1, 1)
      const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data
      return { rgb: [r, g, b], a: a / 255 }
    }
    const over = (top, bottom) => top.rgb.map((value, place) => value * top.a + bottom[place] * (1 - top.a))
    const behind = (it) => {
      if (it === null) return rgba(getComputedStyle(document.documentElement).colorScheme.startsWith('dark') ? 'black' : 'white').rgb
      const colour = rgba(getComputedStyle(it).backgroundColor)
      return colour.a === 1 || it.tagName === 'DIALOG' ? colour.rgb : over(colour, behind(it.parentElement))
    }
    const luminance = (rgb) => {
      const [r, g, b] = rgb.map((value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
      return 0.2126 * r + 0.7152 * g + 0.0722 * b
    }
    const faint = []
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const it = node.parentElement
      if (node.textContent.trim() === '' || !it.checkVisibility({ visibilityProperty: true }) || it.closest(':disabled, .unseen, .skip, option, style, title')) continue
      const style = getComputedStyle(it)
      const ground = behind(it)
      const ink = rgba(it.closest('svg') ? style.fill : style.color)
      for (let up = it; up; up = up.parentElement) ink.a *= Number(getComputedStyle(up).opacity)
      const [a, b] = [luminance(over(ink, ground)), luminance(ground)].sort((x, y) => y - x)
      const contrast = (a + 0.05) / (b + 0.05)
      const size = parseFloat(style.fontSize)
      const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700)
      if (contrast < (isLarge ? 3 : 4.5)) faint.push(contrast.toFixed(2) + ' ' + node.textContent.trim())
    }
    return faint
  })()`)
