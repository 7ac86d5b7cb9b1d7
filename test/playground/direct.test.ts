// The two browsers talk with each other by WebRTC, on host candidates of this machine; the relay carries the negotiation.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import type { Page } from 'playwright-core'
import { BROWSER, closeBrowser } from '../console/browser.ts'
import { temporaryDirectory } from '../helpers/database.ts'
import type { TestServer } from '../helpers/server.ts'
import { meet, say, shoot, startPlayground } from './people.ts'

after(closeBrowser)

const TYPE = 'application/octet-stream'
const FILE = { name: 'five.bin', mimeType: TYPE, buffer: randomBytes(5_000_000) }
const SMALLER = { name: 'one.bin', mimeType: TYPE, buffer: randomBytes(1_000_000) }

/** Sends the file; the other one saves it. Returns what was said of its way. */
async function pass(t: TestContext, from: Page, to: Page, file = FILE): Promise<string> {
  await from.getByLabel('Send a file').setInputFiles(file)
  const link = to.getByRole('link', { name: `File ${file.name}, ${file.buffer.length.toLocaleString('en')} bytes` })
  await link.waitFor({ timeout: 60_000 })
  const [download] = await Promise.all([to.waitForEvent('download'), link.click()])
  const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
  const path = join(await temporaryDirectory(t), 'saved')
  await download.saveAs(path)
  assert.equal(sha256(await readFile(path)), sha256(file.buffer))
  return (await to.getByText(/^came .*SHA-256/).textContent())!
}

test('a file of 5 MB and a moving picture go from browser to browser', BROWSER, async (t) => {
  const server = await startPlayground(t)
  const { alice, bob } = await meet(t, server, 'signaling')
  await alice.getByRole('button', { name: 'Connect directly' }).click()
  for (const page of [alice, bob]) await page.getByText('Connected directly, browser to browser').waitFor()
  const before = await bytesThrough(server)
  assert.match(await pass(t, alice, bob), /^came directly, /)
  assert.ok((await bytesThrough(server)) - before < 100_000, 'nothing of the file went through the relay')
  for (const page of [alice, bob]) await page.getByText('Nothing: it went from browser to browser.').waitFor()

  await bob.getByRole('button', { name: 'Share a moving picture' }).click()
  await bob.getByText('Connected directly, browser to browser. You share a moving picture.').waitFor()
  assert.ok(await bob.getByRole('button', { name: 'Share a moving picture' }).isDisabled(), 'it is shared once')
  const video = alice.getByLabel("The other's moving picture")
  await video.waitFor()
  await alice.waitForFunction(() => {
    const { videoWidth, currentTime } = document.querySelector('video')!
    return videoWidth > 0 && currentTime > 0.5
  })
  await say(bob, 'do you see it?')
  await alice.getByText('do you see it?').waitFor()
  await shoot(alice, 'direct')
})

test('when no connection comes about, the file takes the relay, in an L2PS network too', BROWSER, async (t) => {
  const server = await startPlayground(t)
  const fallBack = async (via: 'signaling' | 'l2ps') => {
    const { alice, bob } = await meet(t, server, via, { before: withoutCandidates })
    await alice.getByRole('button', { name: 'Connect directly' }).click()
    for (const page of [alice, bob])
      await page.getByText('No direct connection: files take the relay').waitFor({ timeout: 60_000 })
    assert.match(await pass(t, bob, alice, SMALLER), /^came through the relay, /)
  }
  await Promise.all([fallBack('signaling'), fallBack('l2ps')]) // each waits 10 s for a connection
})

/** Bytes of all signaling frames that the server has received. */
async function bytesThrough({ addresses }: TestServer): Promise<number> {
  const text = await (await fetch(`${addresses.http}/metrics`)).text()
  return Number(/^demos_relay_frames_received_bytes_total\{protocol="signaling"\} (\d+)$/m.exec(text)![1])
}

/** Only relayed candidates are allowed, and there is no TURN server: no connection can come about. */
function withoutCandidates(): void {
  const { RTCPeerConnection: Real } = window
  window.RTCPeerConnection = class extends Real {
    constructor() {
      super({ iceTransportPolicy: 'relay' })
    }
  }
}
