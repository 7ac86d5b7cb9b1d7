// The client as a package: it is built and packed as for the registry, and an application of its own uses it.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import { build } from 'esbuild'
import { packageFile } from '../../src/util/package-root.ts'
import { closeBrowser, connectBrowser } from '../helpers/chromium.ts'
import { temporaryDirectory } from '../helpers/database.ts'
import { needs } from '../helpers/programs.ts'
import { startTestServer, type TestServer } from '../helpers/server.ts'
import { type Application, installClient, installedFiles } from './installed.ts'

/** The oldest compiler that the types are for, and the newest. */
const COMPILERS = ['client/node_modules/typescript', 'node_modules/typescript']

const APPLICATION = `
import {
  createIdentity, createL2psClient, createSignalingClient, createSigner, fromHex, openTextFromSubnet, RelayError,
  sealForSubnet, type Bytes, type Encrypted, type L2psClient, type SignalingClient
} from 'demos-relay-client'
import { memoryStorage, openOutbox, type Outbox } from 'demos-relay-client/outbox'
import { ProofError, verifyProof } from 'demos-relay-client/proof'

declare const process: { argv: string[] }
const [signalingUrl = '', l2psUrl = ''] = process.argv.slice(2)

const heard: string[] = []
const bob = createSignalingClient({
  url: signalingUrl, clientId: 'bob', identity: await createIdentity(), onMessage: async ({ text }) => { heard.push(text ?? '') }
})
const alice: SignalingClient = createSignalingClient({ url: signalingUrl, clientId: 'alice', identity: await createIdentity() })
alice.events.on('connected', ({ again }: { again: boolean }) => console.log('again:', again))
await Promise.all([alice.connect({ signal: AbortSignal.timeout(10_000) }), bob.connect()])
const outbox: Outbox<string> = await openOutbox(alice, { storage: memoryStorage() })
const received = new Promise((resolve) => bob.events.once('message', resolve))
await outbox.send('bob', 'hello')
await received
console.log(heard[0], (await alice.sendConfirmed('bob', 'again')).status)
outbox.close()
await Promise.all([alice.close(), bob.close()])
console.log(await alice.discover().catch((error) => error instanceof RelayError && error.errorType))

const subnetKey: Bytes = fromHex('00'.repeat(32))
const join = async (): Promise<L2psClient> => {
  const signer = await createSigner('ed25519', crypto.getRandomValues(new Uint8Array(32)))
  const client = createL2psClient({ url: l2psUrl, l2psUid: 'demo', signer })
  await client.connect()
  return client
}
const [carol, dave] = await Promise.all([join(), join()])
const sealed: Encrypted = await sealForSubnet('in the network', subnetKey)
const { status } = await carol.send(dave.publicKey, sealed)
for await (const { encrypted, from } of dave.historyOf(carol.publicKey, { pageSize: 1 })) {
  console.log(status, from === carol.publicKey, await openTextFromSubnet(encrypted, subnetKey))
  const message = { from, to: dave.publicKey, messageHash: 'x' }
  await verifyProof(message, { vkey: '', proof: '', record: '{}' }).catch((error) => console.log(error instanceof ProofError))
}
await Promise.all([carol.close(), dave.close()])
`

const EXPECTED = 'again: false\nhello sent\nCLOSED\nsent true in the network\ntrue\n'

after(closeBrowser)

test('packed and installed it type-checks with the oldest and the newest compiler, and runs against a server', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('demo')
  const application = await installClient(t)
  await application.write('application.mts', APPLICATION)
  for (const compiler of COMPILERS) {
    const program = packageFile(`${compiler}/bin/tsc`)
    const options = ['--strict', '--exactOptionalPropertyTypes', '--skipLibCheck', 'false', '--target', 'es2022']
    const libraries = ['--lib', 'es2022,dom,dom.asynciterable']
    const check = (...mode: string[]) =>
      application.run(process.execPath, program, ...options, ...libraries, ...mode, 'application.mts')
    await check('--module', 'esnext', '--moduleResolution', 'bundler', '--noEmit')
    await check('--module', 'nodenext')
  }
  const { signaling, l2ps } = server.addresses
  assert.equal(await application.run(process.execPath, 'application.mjs', signaling, l2ps!), EXPECTED)
  await checkFiles(application)
  await checkSizes(application)
  await t.test('its API pages are made without a warning', async (t) => {
    const out = await temporaryDirectory(t)
    const typedoc = packageFile('client/node_modules/typedoc/bin/typedoc')
    await application.run(process.execPath, typedoc, '--options', packageFile('client/typedoc.json'), '--out', out)
    const pages = await readdir(join(out, 'functions'))
    assert.ok(pages.includes('index.createL2psClient.html') && pages.includes('proof.verifyProof.html'), `${pages}`)
  })
  await t.test('bundled it runs in Chromium, where an outbox outlives its page', needs('chromium'), (t) =>
    checkBrowser(t, application, server)
  )
})

async function checkFiles(application: Application): Promise<void> {
  assert.deepEqual((await installedFiles(application)).sort(), [
    ...['CHANGELOG.md', 'LICENSE', 'README.md', 'dist', 'package.json']
  ])
  const names = await installedFiles(application, 'dist')
  for (const entry of ['index', 'outbox', 'proof']) {
    assert.ok(names.includes(`${entry}.js`) && names.includes(`${entry}.d.ts`), entry)
  }
  assert.deepEqual(
    names.filter((name) => !/^[\w-]+(?:\.d\.ts|\.js)$/.test(name)),
    []
  )
}

/** Bytes of a bundle for browsers, of which the application uses what `code` names. */
async function bundled(
  { home }: Application,
  code: string
): Promise<{ bytes: number; code: string; inputs: string[] }> {
  const { outputFiles, metafile } = await build({
    stdin: { contents: code, resolveDir: home },
    ...{ bundle: true, minify: true, write: false, metafile: true },
    ...{ format: 'esm', platform: 'browser', logLevel: 'error' }
  })
  const [output] = Object.values(metafile.outputs)
  const inputs = Object.entries(output!.inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0)
  return { bytes: outputFiles[0]!.contents.length, code: outputFiles[0]!.text, inputs: inputs.map(([name]) => name) }
}

async function checkSizes(application: Application): Promise<void> {
  const whole = await bundled(application, "export * from 'demos-relay-client'")
  assert.ok(whole.bytes <= 60_000, `all of it has ${whole.bytes} bytes`)

  const names = 'createL2psClient, createEd25519Signer, sealForSubnet, openTextFromSubnet'
  const l2ps = await bundled(application, `export { ${names} } from 'demos-relay-client'`)
  assert.ok(l2ps.bytes <= 20_000, `L2PS alone has ${l2ps.bytes} bytes`)
  assert.deepEqual(
    l2ps.inputs.filter((name) => name.includes('@noble') || name.includes('signaling')),
    []
  )

  const proof = await bundled(application, "export { verifyProof } from 'demos-relay-client/proof'")
  assert.ok(proof.bytes <= 8_000, `the proof alone has ${proof.bytes} bytes`)
}

/** Two pages: `listen` is Emil's, `leave` and `deliver` are what Dora does before and after her page is loaded again. */
const PAGE = `
import { createIdentity, createSignalingClient } from 'demos-relay-client'
import { indexedDbStorage, openOutbox } from 'demos-relay-client/outbox'

const start = async (clientId, url, options) => {
  const identity = await createIdentity({ seed: new Uint8Array(96).fill(clientId.charCodeAt(0)) })
  return createSignalingClient({ url, clientId, identity, ...options })
}
window.app = {
  async listen(url) {
    const heard = document.body.appendChild(document.createElement('ul'))
    const emil = await start('emil', url, {
      onMessage: async ({ from, text }) => {
        heard.appendChild(document.createElement('li')).textContent = from + ': ' + text
      }
    })
    await emil.connect()
  },
  async leave(url) {
    const outbox = await openOutbox(await start('dora', url), { storage: indexedDbStorage('dora') })
    for (const text of ['written offline', 'and this']) await outbox.send('emil', text)
  },
  async deliver(url) {
    const dora = await start('dora', url)
    const outbox = await openOutbox(dora, { storage: indexedDbStorage('dora') })
    const count = outbox.entries.length
    await dora.connect()
    await outbox.empty()
    return [count, (await indexedDbStorage('dora').entries('')).length]
  }
}`

/** The page, from this machine itself: a secure context, from which Chromium lets pages connect to this machine. */
async function servePage(t: TestContext, code: string): Promise<string> {
  const html = '<!doctype html><link rel="icon" href="data:,"><body><script type="module" src="/app.js"></script>'
  const server = createServer(({ url }, response) => {
    const isScript = url === '/app.js'
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html').end(isScript ? code : html)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function checkBrowser(t: TestContext, application: Application, server: TestServer): Promise<void> {
  const { code } = await bundled(application, PAGE)
  const origin = await servePage(t, code)
  const browser = await connectBrowser()
  const open = async () => {
    const context = await browser.newContext()
    t.after(() => context.close())
    const page = await context.newPage()
    const complaints: string[] = []
    page.on('pageerror', (error) => complaints.push(String(error)))
    page.on('console', (message) => complaints.push(message.text()))
    t.after(() => assert.deepEqual(complaints, []))
    await page.goto(origin)
    return page
  }
  const url = JSON.stringify(server.addresses.signaling)
  const [emil, dora] = [await open(), await open()]
  await emil.evaluate(`app.listen(${url})`)
  await dora.evaluate(`app.leave(${url})`)
  await dora.reload()
  assert.deepEqual(await dora.evaluate(`app.deliver(${url})`), [2, 0])
  await emil.getByText('dora: and this').waitFor()
  assert.deepEqual(await emil.getByRole('listitem').allTextContents(), ['dora: written offline', 'dora: and this'])
}
