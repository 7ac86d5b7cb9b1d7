import assert from 'node:assert/strict'
import { test } from 'node:test'
import Fastify from 'fastify'
import { createLogger } from '../../src/observability/logging.ts'

const SIGNATURE = 'ab'.repeat(64)
const SEALED = Buffer.alloc(300, 7).toString('base64')
const PASSWORD = 'correct-horse'

function listeningLogger({ terminal = false, level = 'trace' } = {}) {
  let written = ''
  const stream = {
    write(line: string) {
      written += line
    }
  }
  const log = createLogger({ LOG_LEVEL: level }, { terminal, colours: false, stream })
  const lines = () =>
    written
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
  return { log, text: () => written, lines }
}

test('away from a terminal a line is one JSON object with its level, time, message and fields', () => {
  const { log, lines } = listeningLogger()
  log.info({ entries: 12, peer: 'ab12' }, 'backlog delivered')
  const [{ time, ...line }] = lines()
  assert.deepEqual(line, { level: 'info', entries: 12, peer: 'ab12', msg: 'backlog delivered' })
  assert.ok(Math.abs(Date.parse(time) - Date.now()) < 5_000)
})

test('on a terminal a line is made for reading', () => {
  const { log, text } = listeningLogger({ terminal: true })
  log.info({ entries: 12 }, 'backlog delivered')
  assert.match(text(), /^\[\d\d:\d\d:\d\d\] INFO: backlog delivered\n\s+entries: 12\n$/)
})

test('a name cannot move the cursor of who reads the log, turn round its line, or hide', () => {
  const name = 'a\u001b[2J\u009b2J\u202eb\u200bc\nd'
  const seen = /a\\u001b\[2J\\u009b2J\\u202eb\\u200bc/
  for (const terminal of [false, true]) {
    const { log, text, lines } = listeningLogger({ terminal })
    log.info({ name }, 'registered')
    log.error(new Error(name), 'failed')
    assert.doesNotMatch(text().replaceAll('\n', ''), /[\p{Cc}\p{Cf}]/u)
    assert.match(text(), seen)
    if (!terminal) assert.equal(lines()[0].name, name, 'and the value is what it was')
  }
})

test('lines less important than LOG_LEVEL are not written', () => {
  const { log, text } = listeningLogger({ level: 'warn' })
  log.info('quiet')
  log.warn('loud')
  assert.match(text(), /loud/)
  assert.doesNotMatch(text(), /quiet/)
})

test('nothing under a secret name is written, however deep, and the rest is', () => {
  const { log, text, lines } = listeningLogger()
  const frame = { type: 'send', payload: { to: 'bob', encrypted: { ciphertext: 'c1pher', nonce: 'n0nce' } } }
  log.debug({ frame, frames: [{ proof: 'pr00f' }], ADMIN_TOKEN: 't0ken', headers: { 'Set-Cookie': 'c00kie' } }, 'frame')
  log.child({ token: 't0ken' }).info('child')
  assert.doesNotMatch(text(), /c1pher|n0nce|pr00f|t0ken|c00kie/)
  assert.deepEqual(lines()[0].frame, { type: 'send', payload: { to: 'bob', encrypted: '[hidden]' } })
})

test('what looks like a secret is hidden wherever it stands', () => {
  const { log, text, lines } = listeningLogger()
  log.info(
    { url: `postgres://relay:${PASSWORD}@db:5432/relay` },
    `cannot reach postgres://relay:${PASSWORD}/x@db/relay`
  )
  log.info({ url: `/admin/queues?admin_token=${PASSWORD}&page=2` }, `Authorization: Bearer ${PASSWORD}`)
  log.info({ raw: `{"proof":"${SIGNATURE}"}` }, `a frame ${SEALED}`)
  log.child({ raw: SIGNATURE }).info({ bytes: Buffer.from(SIGNATURE) }, 'child')
  assert.doesNotMatch(text(), new RegExp(`${PASSWORD}|${SIGNATURE}|${SEALED.slice(0, 60)}`))
  assert.equal(lines()[0].url, 'postgres://relay:[hidden]@db:5432/relay')
  assert.equal(lines()[1].url, '/admin/queues?admin_token=[hidden]&page=2')
  assert.equal(lines()[3].bytes, '[128 bytes]')
})

test('keys and hashes of 64 digits, and addresses with ports, stay readable', () => {
  const { log, lines } = listeningLogger()
  const peer = 'ab'.repeat(32)
  log.info({ peer, hash: `0x${peer}`, listener: 'ws://127.0.0.1:3005', at: 'http://[::1]:3005/metrics' }, 'facts')
  const [{ time: _, ...line }] = lines()
  assert.deepEqual(line, {
    level: 'info',
    peer,
    hash: `0x${peer}`,
    listener: 'ws://127.0.0.1:3005',
    at: 'http://[::1]:3005/metrics',
    msg: 'facts'
  })
})

test('an error keeps its message, code, stack and cause, and loses the row it cites', () => {
  const { log, text, lines } = listeningLogger()
  const cause = new Error('connection reset')
  const error = Object.assign(new Error('new row violates check constraint', { cause }), {
    code: '23514',
    constraint_name: 'queue_entry_size',
    detail: 'Failing row contains (1, c1pher).',
    parameters: ['c1pher']
  })
  log.error({ err: error, others: [error] }, 'commit failed')
  log.error(error)
  assert.doesNotMatch(text(), /c1pher/)
  for (const { err } of lines()) {
    assert.equal(err.message, 'new row violates check constraint: connection reset')
    assert.equal(err.code, '23514')
    assert.equal(err.constraint_name, 'queue_entry_size')
    assert.match(err.stack, /logging\.test/)
  }
})

test("as Fastify's logger it tells of requests and errors without their tokens", async (t) => {
  const { log, text, lines } = listeningLogger()
  const app = Fastify({ loggerInstance: log })
  t.after(() => app.close())
  app.get('/fails', async () => {
    throw new Error(`broken postgres://relay:${PASSWORD}@db`)
  })
  await app.inject({ url: '/fails?token=t0ken', headers: { authorization: 'Bearer t0ken' } })
  assert.doesNotMatch(text(), new RegExp(`${PASSWORD}|t0ken`))
  const [incoming] = lines()
  assert.equal(incoming.msg, 'incoming request')
  assert.deepEqual([incoming.req.method, incoming.req.url], ['GET', '/fails?token=[hidden]'])
  assert.ok(lines().some(({ err }) => err?.message.startsWith('broken')))
})

test('a circular or very deep object does not break a log line', () => {
  const { log, lines } = listeningLogger()
  const loop: Record<string, unknown> = { name: 'loop' }
  loop.self = loop
  log.info({ loop }, 'round')
  assert.equal(lines()[0].loop.self.self.name, 'loop')
})
