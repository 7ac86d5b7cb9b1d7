// The console of a cluster: which relays there are, and where each peer is.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { Bus } from '../../src/cluster/bus.ts'
import { startCluster } from '../cluster/relays.ts'
import { quickSigner } from '../helpers/peer.ts'
import { BROWSER, closeBrowser, goTo, openBoard, shoot, startConsoleServer, TOKEN } from './browser.ts'

after(closeBrowser)

test('relays are shown, which peer is where, and a peer of any relay is closed', BROWSER, async (t) => {
  let isSilent = false
  const throughBus = (bus: Bus) => {
    const ask = bus.ask.bind(bus)
    bus.ask = async (...question) => (isSilent ? 'silent' : ask(...question))
    return bus
  }
  const { relays } = await startCluster(t, 2, 'postgres', { ADMIN_TOKEN: TOKEN }, { throughBus })
  await relays[0]!.addNetworks('net')
  await relays[1]!.app.networks.refresh()
  const signer = await quickSigner()
  const devices = [await relays[0]!.enter('net', signer), await relays[1]!.enter('net', signer)]
  await relays[0]!.join('alice')
  const bob = await relays[1]!.join('bob')
  const page = await openBoard(t, relays[0]!, 'Relays')
  await page.locator('#facts', { hasText: /^relay-1 · / }).waitFor()
  const region = page.getByRole('region', { name: 'Relays' })
  const row = (name: string) => region.getByRole('row', { name: new RegExp(`^${name}`) })
  await row('relay-1').getByText('this one').waitFor()
  assert.match(
    await row('relay-1').innerText(),
    /^relay-1\s+this one\s+postgres\s+\d+\.\d+\.\d+\s+\d+\ss\s+1\s+1\s+2\s/
  )
  assert.match(await row('relay-2').innerText(), /^relay-2\s+postgres\s+\d+\.\d+\.\d+\s+\d+\ss\s+1\s+1\s+2\s/)
  await shoot(page, 'relays')

  await goTo(page, 'Peers')
  const peers = page.getByRole('region', { name: 'Peers' })
  const peer = (name: string) => peers.getByRole('row', { name: new RegExp(`^${name}`) })
  await peers.getByRole('columnheader', { name: 'Relay' }).waitFor()
  assert.ok(await peers.getByLabel('Relay', { exact: true }).isHidden())
  assert.match(await peer(devices[0]!.key.slice(0, 8)).innerText(), /\s+net\s+relay-1, relay-2\s+2\s/)
  assert.match(await peer('alice').innerText(), /^alice\s+signaling\s+relay-1\s+1\s/)
  await shoot(page, 'cluster-peers')
  const button = await peer('bob').getByRole('button', { name: 'Close' }).boundingBox()
  const table = await peers.locator('.table').boundingBox()
  assert.ok(button!.x + button!.width <= table!.x + table!.width, 'nothing is cut off')
  await peer('bob').getByRole('link', { name: 'relay-2' }).click()
  await peer('alice').waitFor({ state: 'detached' })
  assert.match(page.url(), /#peers\?relay=relay-2$/)
  assert.equal(await peers.getByLabel('Relay', { exact: true }).inputValue(), 'relay-2')
  isSilent = true
  await peer('bob').getByText('1, no answer').waitFor()
  await shoot(page, 'cluster-silent')
  await peers.getByRole('button', { name: 'Here for' }).click()
  await peers.getByText('No answer of relay-2: what is there is missing.').waitFor()
  isSilent = false
  await peer('bob').getByRole('button', { name: 'Close' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click()
  assert.equal((await bob.closed).code, 4004)
  await peer('bob').waitFor({ state: 'detached' })
})

test('a relay that is alone has a list of one, and no column that says where', BROWSER, async (t) => {
  const server = await startConsoleServer(t, { RELAY_NAME: 'harbour' })
  await server.join('alice')
  const page = await openBoard(t, server, 'Relays')
  const row = page.getByRole('region', { name: 'Relays' }).getByRole('row', { name: /^harbour/ })
  await row.getByText('alone').waitFor()
  await row.getByRole('link', { name: 'harbour' }).click()
  const peers = page.getByRole('region', { name: 'Peers' })
  await peers.getByRole('row', { name: /^alice/ }).waitFor()
  assert.ok(await peers.getByRole('columnheader', { name: 'Relay' }).isHidden())
})
