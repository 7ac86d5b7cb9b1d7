// Requests over HTTP, those of the administration included: right ones from the OpenAPI document, and nearly right ones.
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { documentedPath, type ServedRoute, servedRoutes } from '../helpers/routes.ts'
import type { TestServer } from '../helpers/server.ts'
import { within } from '../helpers/wait.ts'
import type { Random } from './random.ts'
import { type Field, FUZZ_NETWORK } from './sockets.ts'
import { type JsonSchema, madeFor, mangle, mutate, type Pools, textOf } from './values.ts'

export const FUZZ_TOKEN = 'the-token-of-the-fuzzer'

const PATIENCE_MS = 60_000
/** Answers of a server that is well. */
const MAX_STATUS = 499

interface Operation {
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly schema: JsonSchema }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: JsonSchema }>> }
}

interface Request {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
}

interface Routes {
  readonly list: readonly ServedRoute[]
  readonly operation: (route: ServedRoute) => Operation
}

/** What is served, but for what ends with the process. */
export function routesOf({ app }: TestServer): Routes {
  const { paths = {} } = app.swagger() as { paths?: Record<string, Record<string, Operation>> }
  return {
    list: servedRoutes(app).filter(({ method }) => method !== 'CONNECT' && method !== 'TRACE'),
    operation: ({ method, url }) => paths[documentedPath(url)]?.[method.toLowerCase()] ?? {}
  }
}

/** One request after the other, until none are left. */
export async function fuzzHttp(field: Field, url: string, routes: Routes, random: Random, names: readonly string[]) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const pools = poolsOf(names)
  try {
    while (field.take(1) > 0) {
      if (random.oneIn(10)) await sayBytes(field, url, mangle(random, rawRequest(random, routes, pools)))
      else await ask(field, url, agent, nextRequest(random, routes, pools))
    }
  } finally {
    agent.destroy()
  }
}

/** Nobody but the fuzzers is named: neighbours are not to be dismissed by an administrator. */
function poolsOf(names: readonly string[]): Pools {
  const peer = (random: Random) => random.pick([...names, 'absent-1', random.hex(64)])
  return {
    ...{ peer, recipient: peer, sender: peer },
    network: (random) => random.pick(['signaling', FUZZ_NETWORK, 'nowhere', 'made-1']),
    uid: (random) => random.pick(['made-1', 'made-2', 'made-3', 'nowhere']),
    seq: (random) => random.below(1_000)
  }
}

function nextRequest(random: Random, routes: Routes, pools: Pools): Request {
  const route = random.pick(routes.list)
  const { parameters = [], requestBody } = routes.operation(route)
  const path = route.url.replace(/:(\w+)|\*/g, (_, name = 'path') => pathPart(random, route, pools, name))
  const query = parameters.filter((each) => each.in === 'query' && random.oneIn(2))
  const pairs = query.map(({ name, schema }) => [name, queryValue(random, schema, pools, name)] as [string, string])
  if (random.oneIn(10)) pairs.push([textOf(random, 3).toWellFormed(), textOf(random, 3).toWellFormed()])
  const search = pairs.length === 0 ? '' : `?${new URLSearchParams(pairs)}`
  const schema = requestBody?.content['application/json']?.schema
  const body = schema === undefined ? undefined : bodyOf(random, schema, pools)
  const token = random.oneIn(10) ? textOf(random, 4).replace(/[^ -~]/g, '') : FUZZ_TOKEN
  const headers = {
    authorization: random.oneIn(30) ? token : `Bearer ${token}`,
    ...(body === undefined ? {} : { 'content-type': random.oneIn(20) ? 'text/plain' : 'application/json' })
  }
  return { method: random.oneIn(20) ? 'PUT' : route.method, path: path + search, headers, body }
}

/** All of a network is changed in none but the fuzzers' own. */
function pathPart(random: Random, { method, url }: ServedRoute, pools: Pools, name: string): string {
  const isWhole = name === 'network' && method !== 'GET' && !/:(peer|recipient)/.test(url)
  if (isWhole) return FUZZ_NETWORK
  const value = random.oneIn(15) ? textOf(random, 5) : String(pools[name]?.(random) ?? random.below(10))
  return random.oneIn(50)
    ? encodeURI(value.toWellFormed()).replace(/[?#]/g, '')
    : encodeURIComponent(value.toWellFormed())
}

function queryValue(random: Random, schema: JsonSchema, pools: Pools, name: string): string {
  const value = random.oneIn(5) ? textOf(random, 4) : madeFor(schema, random, pools, name)
  return (typeof value === 'string' ? value : (JSON.stringify(value) ?? '')).toWellFormed()
}

function bodyOf(random: Random, schema: JsonSchema, pools: Pools): string {
  const body = madeFor(schema, random, pools)
  if (typeof body === 'object' && body !== null && random.oneIn(3)) mutate(random, body)
  const text = JSON.stringify(body) ?? ''
  return random.oneIn(8) ? mangle(random, text) : text
}

function rawRequest(random: Random, routes: Routes, pools: Pools): string {
  const { method, path, headers, body = '' } = nextRequest(random, routes, pools)
  const lines = Object.entries({ host: 'fuzz', ...headers, 'content-length': String(Buffer.byteLength(body)) })
  return `${method} ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`
}

async function ask(field: Field, base: string, agent: Agent, { method, path, headers, body }: Request): Promise<void> {
  const what = `${method} ${path} ${body ?? ''}`
  const status = await within<number>(PATIENCE_MS, `no answer to ${what}`, (resolve, reject) => {
    const asked = request(new URL(base), { method, path, headers, agent }, (answer) => {
      answer.resume()
      answer.once('end', () => resolve(answer.statusCode ?? 0))
    })
    asked.once('upgrade', (_, socket) => socket.destroy(new Error('upgraded')))
    asked.once('error', reject)
    asked.end(body)
  }).catch((error: Error) => field.fail(`http: ${error.message}: ${what}`))
  const isBusy = status === 503 && path.startsWith('/health/ready') // its check has less patience than peers
  if (status !== undefined && status > MAX_STATUS && !isBusy) field.fail(`http: ${status} to ${what}`)
}

/** Bytes that may be no request at all: an answer or an end, and no failure. */
async function sayBytes(field: Field, base: string, text: string): Promise<void> {
  const { hostname, port } = new URL(base)
  const socket = connect({ host: hostname, port: Number(port) })
  let heard = ''
  socket.on('data', (data) => {
    heard += data
  })
  socket.on('error', () => {})
  const closed = once(socket, 'close')
  socket.end(text)
  await within(PATIENCE_MS, `no end after ${text}`, (resolve) => closed.then(resolve)).catch((error: Error) =>
    field.fail(`http: ${error.message}`)
  )
  socket.destroy()
  if (/^HTTP\/1\.1 5/m.test(heard)) field.fail(`http: ${heard.slice(0, 300)} to ${text}`)
}
