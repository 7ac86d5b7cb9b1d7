import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { WebSocket } from 'ws'
import { startTestServer } from './helpers/server.ts'

const ADMIN_TOKEN = 'a-token-for-tests-only'
const NOTHING = "default-src 'none';base-uri 'none';form-action 'none';frame-ancestors 'none'"

test('every kind of answer tells a browser to load nothing, guess nothing, tell nobody', async (t) => {
  const { app } = await startTestServer(t, { ADMIN_TOKEN })
  const answers: [method: 'GET' | 'DELETE', url: string, status: number, authorization?: string][] = [
    ['GET', '/health/live', 200],
    ['GET', '/metrics', 200],
    ['GET', '/docs/openapi.json', 200],
    ['GET', '/audit/vkey', 200],
    ['GET', '/audit/nowhere/checkpoint', 404],
    ['GET', '/admin/stats', 200, `Bearer ${ADMIN_TOKEN}`],
    ['GET', '/admin/stats', 401],
    ['GET', '/admin/nothing', 404, `Bearer ${ADMIN_TOKEN}`],
    ['DELETE', '/admin/peers/signaling/nobody', 404, `Bearer ${ADMIN_TOKEN}`],
    ['GET', '/nothing', 404],
    ['GET', '/', 426],
    ['GET', '/l2ps', 426]
  ]
  for (const [method, url, status, authorization] of answers) {
    const { statusCode, headers } = await app.inject({
      method,
      url,
      ...(authorization && { headers: { authorization } })
    })
    assert.equal(statusCode, status, url)
    assert.equal(headers['content-security-policy'], NOTHING, url)
    assert.equal(headers['x-content-type-options'], 'nosniff', url)
    assert.equal(headers['referrer-policy'], 'no-referrer', url)
    assert.equal(headers['x-frame-options'], 'DENY', url)
    assert.equal(headers['strict-transport-security'], undefined, url)
    assert.equal(headers['x-powered-by'], undefined, url)
  }
})

test('a socket that is refused is told the same', async (t) => {
  const { addresses } = await startTestServer(t, { ALLOWED_ORIGINS: 'https://app.example' })
  for (const [path, status] of [
    ['/nowhere', 404],
    ['/signaling', 403]
  ] as const) {
    const socket = new WebSocket(`${addresses.http.replace(/^http/, 'ws')}${path}`, { origin: 'https://other.example' })
    const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage]
    assert.equal(response.statusCode, status)
    assert.equal(response.headers['content-security-policy'], NOTHING, path)
    assert.equal(response.headers['x-content-type-options'], 'nosniff', path)
    response.destroy()
  }
})

test('pages say themselves what they load, and have the rest', async (t) => {
  const { app } = await startTestServer(t)
  const pages = {
    '/docs/': /script-src 'self'/,
    '/docs/asyncapi': /style-src 'unsafe-inline'/,
    '/console/': /script-src 'self'/
  }
  for (const [url, policy] of Object.entries(pages)) {
    const { statusCode, headers } = await app.inject({ url })
    assert.equal(statusCode, 200, url)
    assert.match(String(headers['content-security-policy']), policy, url)
    assert.match(String(headers['content-security-policy']), /^default-src 'none'.*frame-ancestors 'none'$/, url)
    assert.equal(headers['x-content-type-options'], 'nosniff', url)
    assert.equal(headers['referrer-policy'], 'no-referrer', url)
  }
})

test('a browser that came by TLS is told to keep to it, by a proxy that is trusted as well', async (t) => {
  const over = async (settings: Record<string, string>) => {
    const { app } = await startTestServer(t, settings)
    const { headers } = await app.inject({ url: '/health/live', headers: { 'x-forwarded-proto': 'https' } })
    return [headers['strict-transport-security'], headers['cross-origin-opener-policy']]
  }
  assert.deepEqual(await over({}), [undefined, undefined])
  assert.deepEqual(await over({ TRUST_PROXY: 'true' }), ['max-age=31536000', 'same-origin'])
})
