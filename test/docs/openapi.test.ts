import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Validator } from '@seriousme/openapi-schema-validator'
import { documentedPath, servedRoutes } from '../helpers/routes.ts'
import { startTestServer, type TestServer } from '../helpers/server.ts'

interface Media {
  readonly schema?: object
  readonly example?: unknown
}

interface Operation {
  readonly summary?: string
  readonly tags?: string[]
  readonly security?: object[]
  readonly parameters?: { in: string; name: string; description?: string; schema?: object }[]
  readonly requestBody?: { content: Readonly<Record<string, Media>> }
  readonly responses: Readonly<Record<string, { description?: string; content?: Readonly<Record<string, Media>> }>>
}

interface OpenApi {
  readonly openapi: string
  readonly tags: { readonly name: string }[]
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

const TOKEN = 'a-token-for-tests-only'

/** Routes the document says nothing about: the documents themselves, and pages. */
const PAGES = /^\/(docs|console|playground)(\/|$)/
/** Routes that look at the token. */
const GUARDED = /^\/(admin\/|audit\/.*\/tile\/)/

async function documentOf(server: TestServer): Promise<OpenApi> {
  const answer = await server.app.inject({ url: '/docs/openapi.json' })
  assert.equal(answer.statusCode, 200)
  return answer.json() as OpenApi
}

const operationsOf = ({ paths }: OpenApi) =>
  Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, operation }))
  )

test('the OpenAPI document is valid', async (t) => {
  const document = await documentOf(await startTestServer(t))
  assert.equal(document.openapi, '3.1.0')
  const validator = new Validator({ strict: false })
  const { valid, errors } = await validator.validate(structuredClone(document) as never)
  assert.ok(valid, JSON.stringify(errors, null, 2))
  assert.equal(validator.version, '3.1')
  const faulty = { ...document, paths: { '/health': { get: { responses: { ok: {} } } } } }
  assert.equal((await new Validator({ strict: false }).validate(faulty as never)).valid, false, 'it finds faults')
})

test('it has every route, with a summary, a tag and all its parameters', async (t) => {
  const server = await startTestServer(t)
  const document = await documentOf(server)
  const tags = new Set(document.tags.map(({ name }) => name))
  const routes = servedRoutes(server.app).filter(
    ({ method, url }) => method !== 'HEAD' && url !== '/*' && !PAGES.test(url)
  )
  routes.push({ method: 'GET', url: '/audit/:network/tile/*' }) // the tree hides what is before a wildcard
  assert.ok(routes.length > 25, String(routes.length))
  for (const { method, url } of routes) {
    const path = documentedPath(url)
    const operation = document.paths[path]?.[method.toLowerCase()]
    assert.ok(operation, `${method} ${path} is not in the document`)
    assert.ok(operation.summary, `${method} ${path} has no summary`)
    assert.ok(
      operation.tags?.every((tag) => tags.has(tag)),
      `${method} ${path} has a tag nobody explains`
    )
    assert.equal(operation.security!.length > 0, GUARDED.test(url), `${method} ${path}: security`)
    const named = operation.parameters?.filter((each) => each.in === 'path').map(({ name }) => name) ?? []
    assert.deepEqual(named.sort(), [...path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name!).sort(), path)
  }
})

test('it says of every answer what it means and what it holds, and of every parameter what it is for', async (t) => {
  const document = await documentOf(await startTestServer(t))
  for (const { name, operation } of operationsOf(document)) {
    const { responses, parameters = [] } = operation
    for (const [status, { description, content }] of Object.entries(responses)) {
      if (name === 'GET /metrics') continue // the text of Prometheus
      assert.ok(description !== undefined && description !== 'Default Response', `${name} ${status}`)
      assert.ok(
        Object.values(content ?? {}).every(({ schema }) => schema !== undefined),
        `${name} ${status}`
      )
      assert.ok(content !== undefined, `${name} ${status} holds nothing`)
    }
    for (const parameter of parameters) assert.ok(parameter.description, `${name}: ${parameter.name}`)
    if (!name.includes(' /admin/')) continue
    assert.ok(
      Object.keys(responses).some((status) => /^20[01]$/.test(status)),
      name
    )
    for (const status of ['4XX', '5XX']) {
      assert.deepEqual(Object.keys(responses[status]?.content ?? {}), ['application/problem+json'], `${name} ${status}`)
    }
  }
})

test('the examples of bodies are accepted as they stand', async (t) => {
  const server = await startTestServer(t, { ADMIN_TOKEN: TOKEN })
  const document = await documentOf(server)
  let count = 0
  for (const { name, operation } of operationsOf(document)) {
    const { example } = operation.requestBody?.content['application/json'] ?? {}
    if (example === undefined) continue
    const [method, path] = name.split(' ') as ['POST' | 'PATCH', string]
    const answer = await server.app.inject({
      ...{ method, url: path.replace('{uid}', 'team'), payload: example as object },
      headers: { authorization: `Bearer ${TOKEN}` }
    })
    assert.ok(answer.statusCode < 300, `${name}: ${answer.body}`)
    count += 1
  }
  assert.ok(count >= 2, 'there are examples')
})
