/**
 * `npm run screenshot`: takes docs/console.png of the console of a busy server of its own, with real peers of both
 * protocols. Needs Chromium (scripts/install-test-programs.sh) and about three minutes: the chart wants to be filled.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { chromium } from 'playwright-core'
import { readConfig } from '../src/config/read.ts'
import { startServer } from '../src/server.ts'
import { packageFile } from '../src/util/package-root.ts'
import { openL2psPeer, sendFrame } from '../test/helpers/l2ps-peer.ts'
import { openPeer, type Peer, quickIdentity, registerFrame } from '../test/helpers/peer.ts'
import { findProgram } from '../test/helpers/programs.ts'

const BUSY_MS = 170_000
const TICK_MS = 100
const TOKEN = 'a-token-for-one-picture'
const NAMES = ['alice', 'bob', 'dana', 'erik', 'fatima', 'goran']

/** What is undone at the end, last first. */
const undo: (() => unknown)[] = []
const scope = { after: (step: unknown) => void undo.push(step as () => unknown) }

try {
  await takePicture()
} finally {
  for (const step of undo.reverse()) await step()
}

async function takePicture(): Promise<void> {
  const executablePath = findProgram('chromium')
  if (executablePath === undefined) throw new Error('chromium is not installed: see scripts/install-test-programs.sh')
  const dataDir = await mkdtemp(join(tmpdir(), 'demos-relay-screenshot-'))
  undo.push(() => rm(dataDir, { recursive: true, force: true }))
  const env = { DATA_DIR: dataDir, SIGNALING_SERVER_PORT: '0', L2PS_MESSAGING_PORT: '0', ADMIN_TOKEN: TOKEN }
  const { config } = readConfig(env)
  if (config === undefined) throw new Error('the configuration is not valid')
  const server = await startServer(config)
  undo.push(() => server.close())

  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] })
  undo.push(() => browser.close())
  const page = await browser.newPage({ viewport: { width: 1240, height: 1050 } })
  const { http, signaling, l2ps } = server.addresses
  await addNetworks(http)
  await page.goto(`${http}/console/`)
  await page.getByLabel('Admin token').fill(TOKEN)
  await page.keyboard.press('Enter')
  console.log(`Traffic for ${BUSY_MS / 1_000} seconds …`)
  await makeTraffic(signaling, l2ps!)
  const path = packageFile('docs/console.png')
  await page.screenshot({ path })
  console.log(path)
}

async function addNetworks(http: string): Promise<void> {
  for (const network of [
    { uid: 'demo', name: 'Demo' },
    { uid: 'team', name: 'The team', membersOnly: true }
  ]) {
    await fetch(`${http}/admin/networks`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify(network)
    })
  }
}

async function makeTraffic(signaling: string, l2ps: string): Promise<void> {
  const peers: Peer[] = []
  for (const name of NAMES) peers.push(await joinWithAcks(signaling, name, peers.length % 2 === 0))
  const members = [await openL2psPeer(scope, l2ps), await openL2psPeer(scope, l2ps)]
  for (const member of members) await member.register('demo')
  const [ann, ben] = members
  ann!.send(sendFrame('c'.repeat(64)))
  const absent = ['carol', 'henrik', 'ines']
  const started = Date.now()
  for (let tick = 0; Date.now() - started < BUSY_MS; tick++) {
    const wave = 4 + 2.5 * Math.sin(tick / 110) + Math.sin(tick / 17) + Math.random()
    for (let n = 0; n < wave; n++) send(peers[(tick + n) % peers.length]!, NAMES[(tick + 3 * n + 1) % NAMES.length]!)
    if (tick % 4 === 0) ann!.send(sendFrame(ben!.key))
    if (tick % 45 === 0) send(peers[tick % peers.length]!, absent[(tick / 45) % absent.length]!)
    await sleep(TICK_MS)
  }
}

function send(from: Peer, targetId: string): void {
  from.send({ type: 'message', payload: { targetId, message: `sealed ${Math.random()}` } })
}

/** A peer that acknowledges what it gets, as an application does; the others leave it to their WebSocket. */
async function joinWithAcks(url: string, clientId: string, acknowledges: boolean): Promise<Peer> {
  const peer = await openPeer(scope, url)
  const features = acknowledges ? { features: ['ack'] } : {}
  peer.send(await registerFrame(clientId, await quickIdentity(), features))
  await peer.next('register')
  peer.ws.on('message', (data) => {
    const { type, payload } = JSON.parse(String(data))
    if (acknowledges && type === 'message') peer.send({ type: 'ack', payload: { seq: payload.seq } })
  })
  return peer
}
