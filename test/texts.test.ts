// Every refusal and every start-up error, whoever reads it: words that say what was wrong and what is right. Refusals of
// the start by the real program: start-refusals.test.ts.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Io } from '../src/cli/command.ts'
import { createProgram } from '../src/cli/program.ts'
import { readConfig } from '../src/config/read.ts'
import { SETTINGS } from '../src/config/settings.ts'
import type { Result } from '../src/conformance/run.ts'
import { Shapes } from '../src/conformance/shapes.ts'
import { readConnectionString } from '../src/database/connection-string.ts'
import { type ServerFacts, unfitness } from '../src/database/session-settings.ts'
import { exampleOf } from '../src/docs/frame-examples.ts'
import { CLOSE, LIBRARY_CLOSE } from '../src/protocol/close-codes.ts'
import { L2PS_ERRORS, SIGNALING_ERRORS } from '../src/protocol/errors.ts'
import { PROTOCOLS } from '../src/protocol/frames.ts'
import { PROBLEMS } from '../src/protocol/problems.ts'
import { startAdministered } from './admin/helpers.ts'
import { startChangingProxy } from './conformance/changing-proxy.ts'
import { callCli } from './helpers/cli.ts'
import { createTestDatabase } from './helpers/database.ts'
import type { ReceivedFrame } from './helpers/inbox.ts'
import { logLines } from './helpers/log-lines.ts'
import { assertPlain } from './helpers/plain-words.ts'
import { servedRoutes } from './helpers/routes.ts'
import { startTestServer } from './helpers/server.ts'

/** In the place of every value of a frame, a body, a query and a path; `undefined`: it is left out. */
const WRONG: readonly unknown[] = [
  ...[undefined, null, '', 'x', '0x12', '\u0000', '\ud800', 'x'.repeat(9_000), 0, -1, 1.5, 2 ** 60, true],
  ...[[], [7], ['x', 'x'], {}, { toString: 1 }, [[[]]], Array(20).fill('x')]
]
/** A machine with other work to do answers late. */
const PATIENCE_MS = 60_000

test('the tables of errors, problems and close codes', () => {
  for (const [code, { meaning }] of Object.entries({ ...SIGNALING_ERRORS, ...L2PS_ERRORS })) assertPlain(meaning, code)
  for (const [name, { title, advice }] of Object.entries(PROBLEMS)) {
    assertPlain(title, name)
    assertPlain(advice, name)
  }
  for (const [name, { reason, advice }] of Object.entries(CLOSE)) {
    assertPlain(reason, name)
    assertPlain(advice, name)
  }
  for (const reason of [...Object.values(CLOSE).map(({ reason }) => reason), ...Object.values(LIBRARY_CLOSE)]) {
    assert.ok(Buffer.byteLength(reason) <= 123, `a close frame has no room for: ${reason}`)
  }
})

/** The payloads a client gets wrong: each member of the example, and each of theirs, with each wrong value in its place. */
function* broken(value: object): Generator<object> {
  for (const [name, member] of Object.entries(value)) {
    for (const wrong of WRONG) yield { ...value, [name]: wrong }
    if (typeof member === 'object' && !Array.isArray(member)) {
      for (const inner of broken(member)) yield { ...value, [name]: inner }
    }
  }
}

for (const { name: protocol, clientFrames } of PROTOCOLS) {
  for (const { frame } of clientFrames) {
    test(`${protocol}: whatever is wrong with ${frame.type}`, async (t) => {
      const settings = { MAX_FAILED_REGISTRATIONS_PER_SOCKET: 10_000, MAX_FAILED_PROOFS_PER_ADDRESS: 10_000 }
      const log = logLines()
      const unlimited = { ...settings, WORK_PER_SOCKET: 0, WORK_PER_ADDRESS: 0 }
      const server = await startTestServer(t, unlimited, { logger: log.logger })
      await server.addNetworks('team')
      const isRegister = frame.type === 'register'
      const peer = await (protocol === 'signaling'
        ? isRegister
          ? server.peer()
          : server.join('ann')
        : isRegister
          ? server.l2psPeer()
          : server.enter('team'))
      const example = exampleOf(protocol, 'client', frame.type) as { payload: object }
      const frames: object[] = Array.from(broken(example.payload), (payload) => ({ ...example, payload }))
      for (const wrong of WRONG) frames.push({ ...example, payload: wrong }, { ...example, timestamp: wrong })
      const isEnd = ({ payload }: ReceivedFrame) => /nothing of the kind/.test(JSON.stringify(payload))
      for (const each of frames) peer.sendRaw(JSON.stringify(each))
      peer.sendRaw(JSON.stringify({ type: 'nothing of the kind', payload: { x: 1 } }))
      let refusals = 0
      for (;;) {
        const { type, payload } = await peer.next(undefined, PATIENCE_MS)
        if (type !== 'error') continue
        const words = payload.details ?? payload.message
        assertPlain(words, `${protocol} ${frame.type}: ${payload.errorType ?? payload.code}`)
        assert.notEqual(words, 'Internal server error')
        if (isEnd({ type, payload })) break
        refusals++
      }
      assert.ok(refusals > WRONG.length / 2, `${refusals} of ${frames.length} were refused`)
      assert.deepEqual(
        log.lines.filter(({ level }) => level === 'error' || level === 'fatal'),
        []
      )
      const logged = JSON.stringify(log.lines).length
      assert.ok(logged < 5_000 + 20 * frames.length, `${logged} bytes of log for ${frames.length} frames`)
    })
  }
}

test('frames that are none, and what the WebSocket layer refuses', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('team')
  for (const open of [() => server.peer(), () => server.l2psPeer()]) {
    const peer = await open()
    for (const data of ['', 'x', 'null', '[]', '{"type":7}', new Uint8Array([1]), 'x'.repeat(50_000)]) {
      peer.sendRaw(data)
      const { payload } = await peer.next(undefined, PATIENCE_MS)
      assertPlain(payload.details ?? payload.message, String(data).slice(0, 20))
    }
  }
  const broken: [code: number, bytes: number[]][] = [
    [1002, [0x83, 0x80, 0, 0, 0, 0]], // of a kind that RFC 6455 leaves free
    [1007, [0x81, 0x81, 0, 0, 0, 0, 0xff]], // text that is not UTF-8
    [1009, [0x81, 0xff, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0]] // 2 MiB are announced
  ]
  for (const [code, bytes] of broken) {
    const peer = await server.peer()
    ;(peer.ws as unknown as { _socket: { write(data: Buffer): void } })._socket.write(Buffer.from(bytes))
    const closed = await peer.closed
    assert.equal(closed.code, code)
    assertPlain(closed.reason, `close code ${code}`)
  }
})

test('whatever is wrong with a request to the administration', async (t) => {
  const server = await startAdministered(t, { ADMIN_REQUESTS_PER_MINUTE: 100_000 })
  await server.addNetworks('team')
  const asText = WRONG.filter((value) => value !== undefined).map((value) =>
    encodeURIComponent((typeof value === 'string' ? value : JSON.stringify(value)).toWellFormed().slice(0, 300))
  )
  const document = (await (await fetch(`${server.addresses.http}/docs/openapi.json`)).json()) as {
    paths: Record<string, Record<string, { parameters?: { in: string; name: string }[] }>>
  }
  let refusals = 0
  const ask = async (method: string, path: string, body?: unknown) => {
    const answer = await server.ask(method, path, body)
    assert.ok(answer.status < 500, `${method} ${path}: ${answer.text}`)
    if (answer.status < 400) return
    assertPlain(answer.body.detail ?? answer.body.title, `${method} ${path}`)
    if (answer.status === 400) refusals++
  }
  for (const { method, url } of servedRoutes(server.app)) {
    if (!url.startsWith('/admin/') || method === 'HEAD' || method === 'OPTIONS') continue
    const path = url.slice('/admin'.length)
    const good = path.replace(':network', 'team').replace(':uid', 'team').replace(/:\w+/g, 'ab'.repeat(32))
    for (const text of asText) await ask(method, path.replace(/:\w+/g, text === '' ? '%20' : text))
    const documented = document.paths[url.replace(/:(\w+)/g, '{$1}')]?.[method.toLowerCase()]
    const queries = documented?.parameters?.filter((parameter) => parameter.in === 'query') ?? []
    for (const { name } of queries) for (const text of asText) await ask(method, `${good}?${name}=${text}`)
    if (method !== 'GET' && method !== 'DELETE') for (const wrong of WRONG) await ask(method, good, wrong ?? '{')
  }
  for (const member of ['uid', 'name', 'description', 'enabled', 'members']) {
    for (const wrong of WRONG) await ask('POST', '/networks', { uid: 'new', [member]: wrong })
  }
  assert.ok(refusals > 300, `${refusals} were refused`)
})

test('whatever is wrong with a request for the audit trail, and a server that cannot answer it', async (t) => {
  const { sql, url: databaseUrl } = await createTestDatabase(t)
  const server = await startTestServer(t, { DATABASE_URL: databaseUrl })
  const ask = async (path: string, status: RegExp) => {
    const answer = await fetch(`${server.addresses.http}${path}`)
    assert.match(String(answer.status), status, path)
    assertPlain(((await answer.json()) as { message?: unknown }).message, path)
  }
  const paths = servedRoutes(server.app).filter(({ method, url }) => method === 'GET' && url.startsWith('/audit/:'))
  assert.ok(paths.length >= 3, String(paths.length))
  const texts = ['%00', '%20', 'x'.repeat(200), '..%2f', '0x12', '7', 'a%F0%9F%98%80']
  for (const { url } of paths) {
    for (const text of texts) await ask(url.replace(/:\w+|\*/g, text), /^404$/)
  }
  await sql`alter table audit_log rename to hidden`
  await ask('/audit/signaling/checkpoint', /^500$/)
})

test('what the conformance command says of servers that send anything', () => {
  const words = new Set<string>()
  for (const { name: protocol, serverFrames } of PROTOCOLS) {
    const shapes = new Shapes(protocol)
    for (const { type } of serverFrames) {
      const example = exampleOf(protocol, 'server', type) as { payload: object }
      const payloads = [...WRONG, ...broken(example.payload)]
      for (const payload of payloads) shapes.check(JSON.stringify({ ...example, payload }))
      for (const wrong of WRONG) shapes.check(JSON.stringify({ ...example, timestamp: wrong }))
    }
    for (const type of WRONG) shapes.check(JSON.stringify({ type, payload: {} }))
    for (const text of ['', '{', 'null', '7', '[]']) shapes.check(text)
    for (const fault of shapes.faults.keys()) words.add(fault)
  }
  assert.ok(words.size > 50, String(words.size))
  for (const fault of words) assertPlain(fault, 'conformance')
})

test('what the conformance command says when a server breaks its rules', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('demo')
  let fails = 0
  const changes = [undefined, 7, { success: true, peers: [7] }].map((payload) => ({ payload }))
  for (const changed of [...changes, { type: { toString: 1 } }]) {
    const change = (text: string) => JSON.stringify({ ...JSON.parse(text), ...changed })
    const signaling = await startChangingProxy(t, server.addresses.signaling, change)
    const l2ps = await startChangingProxy(t, server.addresses.l2ps!, change)
    const { stdout } = await callCli(['conformance', '--url', signaling, '--l2ps', l2ps, '--wait', '50', '--json'])
    for (const { reason, title, verdict } of (JSON.parse(stdout) as { rules: Result[] }).rules) {
      if (verdict === 'fails') fails++
      if (verdict !== 'holds') assertPlain(reason, `${title}, with ${JSON.stringify(changed)}`)
    }
  }
  assert.ok(fails > 100, String(fails))
})

test('every setting with a wrong value', () => {
  const values = [
    'x',
    ' ',
    '-1',
    '1e3',
    '99999999999999999999',
    'tcp://10.0.0.1:80',
    'a b',
    '0x1',
    '::',
    '/',
    ',',
    '[]'
  ]
  let mistakes = 0
  for (const { name } of SETTINGS) {
    for (const value of values) {
      const reading = readConfig({ [name]: value })
      for (const line of [...(reading.mistakes ?? []), ...reading.warnings]) {
        assertPlain(line, `${name}=${value}`)
        mistakes++
      }
    }
    const { mistakes: ofFile = [] } = readConfig({ [`${name}_FILE`]: '/nowhere' })
    for (const line of ofFile) assertPlain(line, `${name}_FILE`)
  }
  assert.ok(mistakes > 200, String(mistakes))
})

test('every connection string and every server that cannot be used', () => {
  const wrong = [
    ...[
      'mysql://db/x',
      'nonsense',
      'postgres://u@::1/x',
      'postgres://u@db:x/y',
      'postgres://u@db:0/x',
      'postgres://%zz@db/x'
    ],
    ...['postgres://u:%@db/x', 'postgres://a,b/x?port=1,2,3', 'postgres://db/%', 'postgres://db/x?sslmode=on'],
    ...['gssencmode=require', 'target_session_attrs=standby', 'sslnegotiation=direct', 'connect_timeout=x'].map(
      (query) => `postgres://u@db/x?${query}`
    ),
    ...['service=x', 'options=-c x', 'passfile=/x', 'sslcrl=/x', '%=1', 'channel_binding=require&sslmode=disable'].map(
      (query) => `postgres://u@db/x?${query}`
    )
  ]
  let refusals = 0
  for (const text of wrong) {
    try {
      for (const line of readConnectionString(text, {}).warnings) assertPlain(line, text)
    } catch (error) {
      assertPlain((error as Error).message, text)
      refusals++
    }
  }
  assert.ok(refusals >= 12, String(refusals))
  const fit: ServerFacts = {
    ...{ pid: 1, isStandby: false, isReadOnly: false },
    ...{ encoding: 'UTF8', version: 180_000, triggers: 'origin', schema: 'public' }
  }
  assert.equal(unfitness(fit), undefined)
  for (const change of [{ encoding: 'LATIN1' }, { version: 140_010 }, { triggers: 'replica' }, { schema: null }]) {
    assertPlain(unfitness({ ...fit, ...change }), JSON.stringify(change))
  }
})

test('every command with wrong words', async () => {
  const away = { ADMIN_TOKEN: 'a-token-for-tests-only' }
  for (const name of createProgram({} as Io).commands.map((command) => command.name())) {
    if (name === 'bench') continue // passes its words on to another program
    for (const words of [['--nonsense'], ['nonsense', 'nonsense', 'nonsense', 'nonsense'], ['--url', 'nonsense']]) {
      const { code, stderr } = await callCli([name, ...words], away)
      assert.notEqual(code, 0, `${name} ${words}`)
      assertPlain(stderr.split('\n\nUsage')[0], `${name} ${words.join(' ')}`)
    }
  }
})
