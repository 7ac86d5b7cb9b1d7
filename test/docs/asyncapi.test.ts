import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Parser } from '@asyncapi/parser'
import type { TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { asyncApiDocument } from '../../src/docs/asyncapi.ts'
import { PROTOCOLS } from '../../src/protocol/frames.ts'
import { startTestServer } from '../helpers/server.ts'

/** The parser gives every schema a name of its own. */
const withoutMarks = (schema: object): unknown =>
  JSON.parse(JSON.stringify(schema, (key, value) => (key === 'x-parser-schema-id' ? undefined : value)))

test('the AsyncAPI document is valid, and has every frame with its schema and its answers', async () => {
  const { document, diagnostics } = await new Parser().parse(JSON.stringify(asyncApiDocument()))
  const faults = diagnostics.filter(({ severity, code }) => severity === 0 && code !== 'asyncapi-latest-version')
  assert.deepEqual(faults, [])
  assert.ok(document)
  for (const { name, clientFrames, serverFrames } of PROTOCOLS) {
    const messages = document.channels().get(name)!.messages()
    for (const { frame } of clientFrames) {
      const schema = messages.get(`client.${frame.type}`)!.payload()!.json() as { properties: { payload: object } }
      assert.deepEqual(withoutMarks(schema.properties.payload), JSON.parse(JSON.stringify(frame.payload)))
    }
    for (const { type } of serverFrames) assert.ok(messages.get(`server.${type}`), type)
    const types = new Set(serverFrames.map(({ type }) => type))
    for (const { answers } of clientFrames) for (const type of answers) assert.ok(types.has(type), type)
  }
})

test('every frame has an example that its own schema takes', () => {
  interface Message {
    readonly payload: TSchema
    readonly examples: readonly { readonly payload: unknown }[]
  }
  const { channels } = asyncApiDocument() as { channels: Record<string, { messages: Record<string, Message> }> }
  for (const { name, clientFrames, serverFrames, hasRequestIds } of PROTOCOLS) {
    for (const [key, { examples }] of Object.entries(channels[name]!.messages)) {
      const [from, type] = key.split('.')
      const frames = from === 'client' ? clientFrames.map(({ frame }) => frame) : serverFrames
      const { payload } = frames.find((frame) => frame.type === type)!
      assert.equal(examples.length, 1, key)
      const example = examples[0]!.payload as { type: string; payload: unknown; timestamp?: number }
      assert.ok(
        Value.Check(payload, example.payload),
        `${name} ${key}: ${JSON.stringify([...Value.Errors(payload, example.payload)])}`
      )
      assert.deepEqual([example.type, typeof example.timestamp], [type, hasRequestIds ? 'number' : 'undefined'])
    }
  }
})

test('the documents are served, to people and machines', async (t) => {
  const { app } = await startTestServer(t)
  const get = (url: string) => app.inject({ url })
  assert.deepEqual((await get('/docs/asyncapi.json')).json(), asyncApiDocument())
  const page = await get('/docs/asyncapi')
  assert.equal(page.headers['content-type'], 'text/html; charset=utf-8')
  assert.match(String(page.headers['content-security-policy']), /default-src 'none'/)
  for (const { clientFrames, serverFrames } of PROTOCOLS) {
    for (const type of [...clientFrames.map(({ frame }) => frame.type), ...serverFrames.map((each) => each.type)]) {
      assert.ok(page.body.includes(`<code>${type}</code>`), type)
    }
  }
  const ui = await get('/docs/')
  assert.equal(ui.statusCode, 200)
  assert.match(ui.body, /swagger-ui/)
  assert.match(String(ui.headers['content-security-policy']), /script-src 'self'/)
})
