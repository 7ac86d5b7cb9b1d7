// The quickstarts, run as their readers would: with the package installed, each to the message that it ends with.
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import type { Page } from 'playwright-core'
import { packageFile } from '../../src/util/package-root.ts'
import { type Application, installClient } from '../client/installed.ts'
import { closeBrowser, connectBrowser } from '../helpers/chromium.ts'
import { temporaryDirectory } from '../helpers/database.ts'
import { needs } from '../helpers/programs.ts'
import { startTestServer } from '../helpers/server.ts'

after(closeBrowser)

const quickstart = (name: string) => packageFile(`examples/quickstart/${name}`)
const source = (name: string) => readFileSync(quickstart(name), 'utf8')

async function startDemo(t: TestContext) {
  const server = await startTestServer(t)
  await server.addNetworks('demo')
  return server
}

test('each quickstart is under 60 lines', () => {
  const names = readdirSync(quickstart('.')).filter((name) => !name.endsWith('.md'))
  assert.deepEqual(names, ['browser.html', 'node.mjs', 'python.py', 'react.jsx'])
  for (const name of names) assert.ok(source(name).split('\n').length <= 60, name)
})

const isPythonReady = spawnSync('/usr/bin/python3', ['-c', 'import websockets, cryptography']).status === 0
const PYTHON =
  isPythonReady || process.env.CI === 'true' ? {} : { skip: 'not installed: python3-websockets, python3-cryptography' }

test("python.py: the specification alone, with Debian's python3, ends with a message received", PYTHON, async (t) => {
  const { addresses } = await startDemo(t)
  const { stdout } = await promisify(execFile)('/usr/bin/python3', [quickstart('python.py'), addresses.l2ps!])
  assert.match(stdout, /^the relay has it: message_sent\nreceived from [0-9a-f]{64}: hello, bob\n$/)
})

test('with the package installed', async (t) => {
  const application = await installClient(t)

  await t.test('node.mjs ends with a message received, and in the history', async (t) => {
    const { addresses } = await startDemo(t)
    await application.write('node.mjs', source('node.mjs'))
    const shown = await application.run(process.execPath, 'node.mjs', addresses.l2ps!)
    assert.deepEqual(shown.split('\n').slice(0, 2).sort(), [
      `received from ${/received from (\w{8})/.exec(shown)?.[1]}: hello, bob`,
      'the relay has it: sent'
    ])
    assert.match(shown, /Z hello, bob\n$/)
  })

  await t.test(
    'browser.html ends with a message received, also when it is opened again',
    needs('chromium'),
    async (t) => {
      const { addresses } = await startDemo(t)
      const client = await bundle(application, "export * from 'demos-relay-client'")
      const origin = await serve(t, { '/browser.html': source('browser.html'), '/client.js': client })
      const page = await open(t, `${origin}/browser.html?relay=${addresses.signaling}`)
      await page.getByText(/^received from browser-\w{12}: hello, browser$/).waitFor()
      const [name] = /browser-\w{12}/.exec(await page.getByRole('listitem').first().innerText())!
      await page.reload()
      await page.getByText(`received from ${name}: hello, browser`).waitFor()
    }
  )

  await t.test(
    'webrtc: 100 lines; a picture and 5 MB go from browser to browser, or the file through the relay',
    needs('chromium'),
    async (t) => {
      const { addresses } = await startDemo(t)
      const page = readFileSync(packageFile('examples/webrtc/index.html'), 'utf8')
      assert.ok(page.split('\n').length <= 101)
      const client = await bundle(application, "export * from 'demos-relay-client'")
      const origin = await serve(t, { '/index.html': page, '/client.js': client })
      const file = join(await temporaryDirectory(t), 'five.bin') // by its path: the bytes need not go through the debugger
      await writeFile(file, Buffer.alloc(5_000_000, 7))
      for (const [policy, way] of [
        ['all', 'directly'],
        ['relay', 'through the relay'] // candidates of a TURN server only, and there is none
      ]) {
        const visit = async (me: string, to: string) => {
          const names = `me=${me}-${policy}&to=${to}-${policy}`
          const opened = await open(t, `${origin}/index.html?${names}&policy=${policy}&relay=${addresses.signaling}`)
          await opened.getByText(/^registered as/).waitFor()
          return opened
        }
        const [alice, bob] = [await visit('alice', 'bob'), await visit('bob', 'alice')]
        await alice.getByRole('button', { name: 'Call' }).click()
        if (policy === 'all') {
          for (const each of [alice, bob]) await each.getByText('connected directly').waitFor()
          await bob.waitForFunction(() => document.querySelector('video')!.videoWidth > 0)
        }
        await bob.getByLabel('File').setInputFiles(file)
        await alice.getByText(`received five.bin ${way}: 5000000 bytes`).waitFor({ timeout: 60_000 })
        const third = await open(t, alice.url())
        await third.getByText(`not connected: Client ID alice-${policy} is already taken`).waitFor()
      }
    }
  )

  await t.test('react.jsx: two pages talk, and what is written offline arrives', needs('chromium'), async (t) => {
    const server = await startDemo(t)
    await application.write('react.jsx', source('react.jsx'))
    const page = await bundle(application, REACT_PAGE)
    const html = '<!doctype html><title>chat</title><div id="root"></div><script type="module" src="/app.js"></script>'
    const origin = await serve(t, { '/': html, '/app.js': page })
    const visit = (me: string, to: string) =>
      open(t, `${origin}/?me=${me}&to=${to}&relay=${server.addresses.signaling}`)
    const [alice, bob] = [await visit('alice', 'bob'), await visit('bob', 'alice')]
    for (const [page, name] of [
      [alice, 'alice'],
      [bob, 'bob']
    ] as const) {
      await page.getByText(`${name}: connected`).waitFor()
    }
    await say(alice, 'hello, bob')
    await bob.getByText('alice: hello, bob').waitFor()
    await server.close()
    await bob.getByText('bob: connecting').waitFor()
    await say(bob, 'written offline')
    const port = new URL(server.addresses.signaling).port
    await startTestServer(t, { DATABASE_URL: server.databaseUrl, RPC_SIGNALING_PORT: port })
    await alice.getByText('bob: written offline').waitFor()
  })
})

const REACT_PAGE = `
import { createIdentity } from 'demos-relay-client'
import { createElement } from 'react'
import { createRoot } from 'react-dom/client'
import { Chat } from './react.jsx'

const query = new URLSearchParams(location.search)
const [clientId, to, url] = ['me', 'to', 'relay'].map((name) => query.get(name))
const identity = await createIdentity()
createRoot(document.getElementById('root')).render(createElement(Chat, { clientId, to, url, identity }))
`

/** A bundle for browsers; what the application has not installed comes from this repository. */
async function bundle({ home }: Application, contents: string): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: home },
    ...{ bundle: true, write: false, format: 'esm', platform: 'browser', jsx: 'automatic', logLevel: 'error' },
    nodePaths: [packageFile('node_modules')],
    define: { 'process.env.NODE_ENV': '"production"' }
  })
  return outputFiles[0]!.text
}

/** Serves these texts by their paths, from this machine. */
async function serve(t: TestContext, files: Record<string, string>): Promise<string> {
  const server = createServer(({ url = '/' }, response) => {
    const path = url.split('?')[0]!
    response.setHeader('content-type', path.endsWith('.js') ? 'text/javascript' : 'text/html; charset=utf-8')
    response.writeHead(path in files ? 200 : 404).end(files[path])
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A page in a browser of its own: nothing that another page keeps is there. */
async function open(t: TestContext, url: string): Promise<Page> {
  const context = await (await connectBrowser()).newContext()
  t.after(() => context.close())
  const page = await context.newPage()
  const failures: string[] = []
  page.on('pageerror', (error) => failures.push(String(error)))
  t.after(() => assert.deepEqual(failures, []))
  await page.goto(url)
  return page
}

async function say(page: Page, text: string): Promise<void> {
  await page.getByRole('textbox').fill(text)
  await page.getByRole('button', { name: 'Send' }).click()
}
