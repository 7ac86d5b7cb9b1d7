// The demos run to their end against a real server.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { packageFile } from '../../src/util/package-root.ts'
import { startTestServer } from '../helpers/server.ts'

async function runDemo(name: string, env: Record<string, string>): Promise<string> {
  const args = ['--import', import.meta.resolve('tsx'), packageFile(`examples/${name}`)]
  const { stdout } = await promisify(execFile)(process.execPath, args, { env: { PATH: process.env.PATH, ...env } })
  return stdout
}

test('npm run demo: three messages are exchanged and every frame is explained', async (t) => {
  const { addresses } = await startTestServer(t)
  const shown = await runDemo('demo.ts', { DEMO_URL: addresses.signaling })
  assert.equal(shown.match(/ opens it: "/g)?.length, 3)
  assert.match(shown, /your message is stored until it returns/)
  assert.match(shown, /\nDone\./)
})

test('npm run demo:l2ps: one message is delivered at once, one later, and history has both', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('demo')
  const shown = await runDemo('demo-l2ps.ts', { DEMO_L2PS_URL: server.addresses.l2ps! })
  assert.match(shown, /^bob {4}<- .*: "hello, bob"$/m)
  assert.match(shown, /^alice {2}-> bob, who is away: queued$/m)
  assert.match(shown, /^bob {4}<- .*: "read this when you are back"$/m)
  assert.match(shown, /^history, newest first: \w+, \w+$/m)
})
