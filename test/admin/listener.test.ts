// The administration on a listener of its own (ADMIN_PORT), and tokens with names and roles.
import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { test } from 'node:test'
import WebSocket from 'ws'
import { temporaryDirectory } from '../helpers/database.ts'
import { startTestServer } from '../helpers/server.ts'
import { within } from '../helpers/wait.ts'
import { TOKEN } from './helpers.ts'

const auth = { authorization: `Bearer ${TOKEN}` }
const OPERATORS = [
  '/admin',
  '/admin/stats',
  '/console',
  '/console/',
  '/console/api.js',
  '/docs',
  '/docs/openapi.json',
  '/metrics'
]

const statusOf = async (base: string, path: string, headers: Record<string, string> = auth) =>
  (await fetch(`${base}${path}`, { headers, redirect: 'manual' })).status

test('with ADMIN_PORT the public listeners show nothing of the administration, under no spelling', async (t) => {
  const server = await startTestServer(t, { ADMIN_TOKEN: TOKEN, ADMIN_PORT: 0 })
  const { http, l2ps, admin } = server.addresses
  assert.notEqual(admin, http)
  for (const base of [http, l2ps!.replace(/^ws/, 'http')]) {
    for (const path of [
      ...OPERATORS,
      '/%61dmin/stats',
      '/admin/no-such-route',
      '/ADMIN/stats',
      '/metrics?x=1',
      '/docs/static/index.html'
    ]) {
      assert.equal(await statusOf(base, path), 404, `${base}${path}`)
    }
    assert.equal(await statusOf(base, '/admin/peers/signaling/x', {}), 404, 'nor is a token asked for')
    assert.equal(await statusOf(base, '/health/live'), 200)
    assert.equal(await statusOf(base, '/audit/vkey'), 200)
    assert.deepEqual(await (await fetch(`${base}/health/ready`)).json(), { status: 'ok' })
  }
  for (const path of OPERATORS) assert.ok((await statusOf(admin, path)) !== 404 || path === '/admin', path)
  for (const path of ['/health/live', '/audit/vkey']) assert.equal(await statusOf(admin, path), 200)
  const ready = (await (await fetch(`${admin}/health/ready`)).json()) as {
    parts: object
    doors: Record<string, string>
  }
  assert.equal(ready.doors.admin, admin)
  await server.join('alice')
})

test('the admin listener takes no sockets, and leads a browser to the console', async (t) => {
  const server = await startTestServer(t, { ADMIN_TOKEN: TOKEN, ADMIN_PORT: 0 })
  const { admin } = server.addresses
  for (const path of ['/signaling', '/l2ps']) assert.equal(await statusOf(admin, path), 404)
  const home = await fetch(`${admin}/`, { redirect: 'manual' })
  assert.deepEqual([home.status, home.headers.get('location')], [302, 'console/'])
  const socket = new WebSocket(`${admin.replace(/^http/, 'ws')}/signaling`)
  const refused = await within<string>(5_000, 'no refusal', (resolve) =>
    socket.once('error', ({ message }) => resolve(message))
  )
  assert.match(refused, /404/)
})

test('a port that is taken: the next one with a warning, or no start with STRICT_PORTS', async (t) => {
  const neighbour = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => neighbour.once('listening', resolve))
  t.after(() => neighbour.close())
  const { port } = neighbour.address() as { port: number }
  const moved = await startTestServer(t, { ADMIN_PORT: port })
  assert.notEqual(moved.addresses.admin, `http://127.0.0.1:${port}`)
  const { details } = (await (await fetch(`${moved.addresses.admin}/health/ready`)).json()) as { details: object }
  assert.deepEqual((details as Record<string, object>)['admin port'], {
    ...{ taken: port, used: Number(new URL(moved.addresses.admin).port) }
  })
  for (const setting of ['ADMIN_PORT', 'RPC_SIGNALING_PORT', 'L2PS_MESSAGING_PORT']) {
    await assert.rejects(
      startTestServer(t, { [setting]: port, STRICT_PORTS: 'true', DATA_DIR: await temporaryDirectory(t) }),
      new RegExp(`port ${port} is taken.*STRICT_PORTS`),
      setting
    )
  }
})
