// Who shows no token, or shows it in any other way than the one there is, gets nothing from any route.
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { quickIdentity } from '../helpers/peer.ts'
import { documentedPath, servedRoutes } from '../helpers/routes.ts'
import { startTestServer, type TestServer } from '../helpers/server.ts'
import { until } from '../helpers/wait.ts'
import { store, TOKEN } from './helpers.ts'

interface Route {
  readonly method: string
  /** A path that names what is really there. */
  readonly path: string
}

/** One HTTP request as bytes: nothing puts its path or its headers right. */
interface RawRequest extends Route {
  readonly headers?: readonly string[]
  readonly body?: string
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'SEARCH']
const RIGHT = `Authorization: Bearer ${TOKEN}`
const FORM = 'Content-Type: application/x-www-form-urlencoded'
const KEY = 'ab'.repeat(32)

/** Ways to ask that are not the one there is; each changes a request that would be granted with the right header. */
const CREDENTIALS: Readonly<Record<string, (route: Route) => Partial<RawRequest>>> = {
  'no token': () => ({}),
  'an empty header': () => ({ headers: ['Authorization:'] }),
  'an empty token': () => ({ headers: ['Authorization: Bearer '] }),
  'a wrong token': () => ({ headers: [`Authorization: Bearer ${'x'.repeat(TOKEN.length)}`] }),
  'a token that is too short': () => ({ headers: [`Authorization: Bearer ${TOKEN.slice(1)}`] }),
  'a token that is too long': () => ({ headers: [`Authorization: Bearer ${TOKEN}x`] }),
  'another letter case': () => ({ headers: [`Authorization: Bearer ${TOKEN.toUpperCase()}`] }),
  'a very long token': () => ({ headers: [`Authorization: Bearer ${TOKEN.repeat(300)}`] }),
  'the token without a scheme': () => ({ headers: [`Authorization: ${TOKEN}`] }),
  'the scheme Token': () => ({ headers: [`Authorization: Token ${TOKEN}`] }),
  'the scheme Basic': () => ({
    headers: [`Authorization: Basic ${Buffer.from(`admin:${TOKEN}`).toString('base64')}`]
  }),
  'the token as a list': () => ({ headers: [`Authorization: Bearer wrong, Bearer ${TOKEN}`] }),
  'the token in quotes': () => ({ headers: [`Authorization: Bearer "${TOKEN}"`] }),
  'a wrong header before the right one': () => ({ headers: ['Authorization: Bearer wrong', RIGHT] }),
  'the right header before a wrong one': () => ({ headers: [RIGHT, 'authorization: Bearer wrong'] }),
  'the right header twice': () => ({ headers: [RIGHT, RIGHT] }),
  'other headers': () => ({
    headers: [`Proxy-Authorization: Bearer ${TOKEN}`, `X-Authorization: Bearer ${TOKEN}`, `X-Api-Key: ${TOKEN}`]
  }),
  'a cookie': () => ({ headers: [`Cookie: authorization=Bearer%20${TOKEN}; token=${TOKEN}; access_token=${TOKEN}`] }),
  'the query': ({ path }) => ({ path: `${path}?access_token=${TOKEN}&token=${TOKEN}&authorization=Bearer%20${TOKEN}` }),
  'a form': () => ({ headers: [FORM], body: `access_token=${TOKEN}` }),
  'a JSON body': () => ({
    ...{ headers: ['Content-Type: application/json'], body: JSON.stringify({ access_token: TOKEN, token: TOKEN }) }
  }),
  'a WebSocket upgrade': () => ({
    headers: [
      'Upgrade: websocket',
      'Connection: Upgrade',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
      `Sec-WebSocket-Protocol: bearer, ${TOKEN}`
    ]
  }),
  'an upgrade to HTTP/2': () => ({
    headers: ['Upgrade: h2c', 'Connection: Upgrade, HTTP2-Settings', 'HTTP2-Settings: AAMAAABkAAQAAP__']
  }),
  'pretended nearness': () => ({
    headers: ['X-Forwarded-For: 127.0.0.1', 'X-Real-IP: 127.0.0.1', 'Forwarded: for=127.0.0.1', 'Host: localhost']
  })
}

/** Other methods than the one on the first line. */
const OVERRIDES: typeof CREDENTIALS = {
  'X-HTTP-Method-Override': ({ method }) => ({
    ...{
      method: 'POST',
      headers: [`X-HTTP-Method-Override: ${method}`, `X-HTTP-Method: ${method}`, `X-Method-Override: ${method}`]
    }
  }),
  'a GET that overrides': ({ method }) => ({ method: 'GET', headers: [`X-HTTP-Method-Override: ${method}`] }),
  '_method in the query': ({ method, path }) => ({ method: 'POST', path: `${path}?_method=${method}` }),
  '_method in a form': ({ method }) => ({ method: 'POST', headers: [FORM], body: `_method=${method}` })
}

/** Other spellings of a path: those that still are the route want the token, the others are no route. */
const SPELLINGS: typeof CREDENTIALS = Object.fromEntries(
  Object.entries({
    'a slash in front': (path: string) => `/${path}`,
    'slashes doubled': (path: string) => path.replaceAll('/', '//'),
    'a slash behind': (path: string) => `${path}/`,
    'dots in front': (path: string) => `/.${path}`,
    'up and down': (path: string) => `/admin/..${path}`,
    'up from a public page': (path: string) => `/docs/..${path}`,
    'up, encoded': (path: string) => `/docs/%2e%2e${path}`,
    'up, the slash encoded': (path: string) => `/docs/..%2f${path.slice(1)}`,
    'the first letter encoded': (path: string) => path.replace('/a', '/%61'),
    'the slash encoded': (path: string) => path.replace('/admin/', '/admin%2f'),
    'all encoded': (path: string) => path.replaceAll(/[a-z]/g, (letter) => `%${letter.charCodeAt(0).toString(16)}`),
    'encoded twice': (path: string) => path.replace('/a', '/%2561'),
    'upper case': (path: string) => path.toUpperCase(),
    'mixed case': (path: string) => path.replace('/admin', '/Admin'),
    'a backslash': (path: string) => path.replaceAll('/', '\\').replace('\\', '/'),
    'a parameter': (path: string) => path.replace('/admin', '/admin;x=1'),
    'a parameter behind': (path: string) => `${path};access_token=${TOKEN}`,
    'NUL, encoded': (path: string) => `${path}%00`,
    'NUL in front, encoded': (path: string) => `/%00${path}`,
    'a line feed, encoded': (path: string) => `${path}%0d%0aAuthorization:%20Bearer%20${TOKEN}`,
    'broken encoding': (path: string) => `${path}%zz`,
    'a long encoding': (path: string) => path.replace('/a', '/%c1%a1'),
    'a fragment': (path: string) => `${path}#x`,
    'an empty query': (path: string) => `${path}?`,
    'absolute form': (path: string) => `http://127.0.0.1${path}`,
    'absolute form, the token as a user': (path: string) => `http://admin:${TOKEN}@127.0.0.1${path}`,
    'absolute form of another host': (path: string) => `http://localhost:1${path}`
  }).map(([name, spell]) => [name, ({ path }: Route) => ({ path: spell(path) })])
)

/** The status of the answer; 400 where the server just hangs up on what is no HTTP. */
function statusOf(server: TestServer, { method, path, headers = [], body = '' }: RawRequest): Promise<number> {
  const { port } = new URL(server.addresses.http)
  const length = body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`]
  const host = headers.some((header) => header.startsWith('Host:')) ? [] : ['Host: 127.0.0.1']
  const close = headers.some((header) => header.startsWith('Connection:')) ? [] : ['Connection: close']
  const head = [`${method} ${path} HTTP/1.1`, ...host, ...headers, ...length, ...close]
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), '127.0.0.1')
    let heard = ''
    const done = () => {
      socket.destroy()
      resolve(Number(/^HTTP\/1\.1 (\d{3})/.exec(heard)?.[1] ?? 400))
    }
    socket.on('data', (chunk) => {
      heard += chunk
      if (heard.includes('\r\n')) done()
    })
    socket.once('error', reject)
    socket.once('end', done)
    socket.write(`${head.join('\r\n')}\r\n\r\n${body}`)
  })
}

/** Everything that could have been changed. */
async function stateOf(server: TestServer) {
  const { sql } = server.app.database
  const tables = ['queue_entry', 'quota', 'identity', 'identity_key', 'l2ps_network', 'l2ps_member', 'message']
  const rows = await Promise.all(tables.map((table) => sql`select * from ${sql(table)} as whole order by whole::text`))
  return {
    rows: JSON.stringify(rows),
    sessions: server.app.sessions.size,
    records: (await sql`select from audit_inbox`).count
  }
}

/** Where each parameter of a path leads to something that is there. */
const FILLED: Readonly<Record<string, string>> = {
  ...{ network: 'signaling', recipient: 'bob', peer: 'bob', uid: 'team', txHash: KEY, path: 'entries/000.p/1' }
}
const fill = (path: string) => path.replaceAll(/\{([^}]+)\}/g, (_, name: string) => FILLED[name] ?? name)

async function documentedRoutes(server: TestServer): Promise<Route[]> {
  const document = (await server.app.inject('/docs/openapi.json')).json() as { paths: Record<string, object> }
  return Object.entries(document.paths)
    .filter(([path]) => path.startsWith('/admin'))
    .flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => ({ method: method.toUpperCase(), path: fill(path) }))
    )
}

/** What Fastify really serves below /admin, documented or not. */
const routesServed = (server: TestServer): Route[] =>
  servedRoutes(server.app)
    .filter(({ url }) => url.startsWith('/admin'))
    .map(({ method, url }) => ({ method, path: fill(documentedPath(url)) }))

async function startWithSomething(t: Parameters<typeof startTestServer>[0], options = {}) {
  const settings = { ADMIN_TOKEN: TOKEN, ADMIN_REQUESTS_PER_MINUTE: 1_000_000, AUDIT_REQUESTS_PER_MINUTE: 1_000_000 }
  const server = await startTestServer(t, settings, options)
  await server.addNetworks({ uid: 'team', members: [KEY] })
  await (await server.join('bob', await quickIdentity())).close()
  const alice = await server.join('alice')
  await store(alice, ['bob', 'waits'])
  return { server, alice }
}

test('every route of /admin, asked without the token or with it in the wrong place, tells and changes nothing', async (t) => {
  const { server, alice } = await startWithSomething(t, { withoutAudit: true })
  const documented = await documentedRoutes(server)
  const keys = (routes: Route[]) => routes.map(({ method, path }) => `${method} ${path}`).sort()
  const served = routesServed(server)
  assert.deepEqual(keys(served.filter(({ method }) => method !== 'HEAD')), keys(documented), 'a route is hidden')
  assert.ok(documented.length >= 19, String(documented.length))
  const before = await stateOf(server)
  const paths = [...new Set(served.map(({ path }) => path)), '/admin', '/admin/', '/admin/no-such-route']
  const routes = paths.flatMap((path) => METHODS.map((method) => ({ method, path })))
  const ways = Object.entries(CREDENTIALS)
  const requests: [string, RawRequest, allowed: number[]][] = [
    ...routes.flatMap((route) =>
      ways.map(([name, change]) => [name, { ...route, ...change(route) }, [401]] as [string, RawRequest, number[]])
    ),
    ...served.flatMap((route) =>
      [...Object.entries(OVERRIDES), ...Object.entries(SPELLINGS)].map(
        ([name, change]) => [name, { ...route, ...change(route) }, [400, 401, 404]] as [string, RawRequest, number[]]
      )
    )
  ]
  const missed: string[] = []
  const seen = new Map<number, number>()
  for (let at = 0; at < requests.length; at += 32) {
    await Promise.all(
      requests.slice(at, at + 32).map(async ([name, request, allowed]) => {
        const status = await statusOf(server, request)
        seen.set(status, (seen.get(status) ?? 0) + 1)
        if (!allowed.includes(status)) missed.push(`${request.method} ${request.path} (${name}): ${status}`)
      })
    )
  }
  assert.deepEqual(missed, [])
  const counts = Array.from(seen, ([status, count]) => `${count} × ${status}`).join(', ')
  t.diagnostic(
    `${served.length} routes (${paths.length} paths × ${METHODS.length} methods × ${ways.length} credentials, ` +
      `and ${Object.keys(OVERRIDES).length + Object.keys(SPELLINGS).length} overrides and spellings of each route): ` +
      `${requests.length} requests, ${counts}`
  )
  assert.deepEqual(await stateOf(server), before)
  await alice.nothingMore()
})

test('with the token in the one right place the same routes answer', async (t) => {
  const { server } = await startWithSomething(t, { withoutAudit: true })
  for (const scheme of ['Bearer', 'bearer', 'BEARER']) {
    const headers = [`Authorization: ${scheme} ${TOKEN}`]
    assert.equal(await statusOf(server, { method: 'GET', path: '/admin/stats', headers }), 200, scheme)
  }
  for (const route of await documentedRoutes(server)) {
    if (route.method !== 'GET' || route.path.startsWith('/admin/peers/')) continue // bob is not here
    assert.equal(await statusOf(server, { ...route, headers: [RIGHT] }), 200, route.path)
  }
})

test("a private network's audit records want the token in the one right place too", async (t) => {
  const { server } = await startWithSomething(t)
  const bundle = { method: 'GET', path: '/audit/signaling/tile/entries/000.p/1' }
  const withToken = () => statusOf(server, { ...bundle, headers: [RIGHT] })
  await until('there is a record', async () => (await withToken()) === 200)
  let count = 0
  for (const method of ['GET', 'HEAD']) {
    for (const [name, change] of [...Object.entries(CREDENTIALS), ...Object.entries(OVERRIDES)]) {
      const request = { ...bundle, method, ...change(bundle) }
      const status = await statusOf(server, request)
      assert.ok([400, 401, 404, 405].includes(status), `${request.method} ${request.path} (${name}): ${status}`)
      count += 1
    }
    for (const [name, change] of Object.entries(SPELLINGS)) {
      const request = { ...bundle, ...change(bundle), method }
      const status = await statusOf(server, request)
      assert.ok([400, 401, 404, 405].includes(status), `${request.path} (${name}): ${status}`)
      count += 1
    }
  }
  t.diagnostic(`${count} requests`)
  assert.equal(await withToken(), 200)
})
