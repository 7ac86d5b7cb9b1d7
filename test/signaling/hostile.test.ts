import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Peer, quickIdentity, type ReceivedFrame, registerFrame } from '../helpers/peer.ts'
import { startTestServer, type TestServer } from '../helpers/server.ts'

const MARKER = { type: 'request_public_key', payload: { targetId: 'marker' } }

/** What the server says to one frame: everything before the answer to a marker that was sent behind it. */
async function answersTo(peer: Peer, data: string | Uint8Array): Promise<ReceivedFrame[]> {
  peer.sendRaw(data)
  peer.send(MARKER)
  const answers: ReceivedFrame[] = []
  for (;;) {
    const frame = await peer.next()
    if (frame.type === 'public_key_response' && frame.payload.peerId === 'marker') return answers
    if (frame.type !== 'message' && frame.type !== 'peer_disconnected') answers.push(frame)
  }
}

const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`
const message = (body: string) => `{"type":"message","payload":{"targetId":"absent","message":${body}}}`

/** Frames with a documented answer: the error type, or the type of the frame that answers. */
const CORPUS: [name: string, data: string | Uint8Array, answer: string][] = [
  ['null', 'null', 'INVALID_MESSAGE'],
  ['a number', '7', 'INVALID_MESSAGE'],
  ['text', '"register"', 'INVALID_MESSAGE'],
  ['an array', '[]', 'INVALID_MESSAGE'],
  ['nothing', '', 'INVALID_MESSAGE'],
  ['not JSON', '{"type":', 'INVALID_MESSAGE'],
  ['a byte order mark', '\ufeff{"type":"discover","payload":{}}', 'INVALID_MESSAGE'],
  ['an empty object', '{}', 'INVALID_MESSAGE'],
  ['no payload', '{"type":"discover"}', 'INVALID_MESSAGE'],
  ['payload null', '{"type":"discover","payload":null}', 'INVALID_MESSAGE'],
  ['payload text', '{"type":"discover","payload":"x"}', 'INVALID_MESSAGE'],
  ['payload array', '{"type":"message","payload":[1]}', 'INVALID_MESSAGE'],
  ['type an object', '{"type":{},"payload":{}}', 'INVALID_MESSAGE'],
  ['type toString', '{"type":"toString","payload":{}}', 'INVALID_MESSAGE'],
  ['type __proto__', '{"type":"__proto__","payload":{}}', 'INVALID_MESSAGE'],
  ['type constructor', '{"type":"constructor","payload":{}}', 'INVALID_MESSAGE'],
  ['type lone surrogate', '{"type":"\\ud800","payload":{}}', 'INVALID_MESSAGE'],
  ['binary', new TextEncoder().encode('{"type":"discover","payload":{}}'), 'INVALID_MESSAGE'],
  ['__proto__ as frame', '{"__proto__":{"type":"discover","payload":{}}}', 'INVALID_MESSAGE'],
  [
    '__proto__ as payload',
    '{"type":"message","payload":{"__proto__":{"targetId":"a","message":1}}}',
    'INVALID_MESSAGE'
  ],
  ['__proto__ beside', '{"type":"discover","payload":{},"__proto__":{"x":1}}', 'discover'],
  ['__proto__ as target', '{"type":"message","payload":{"targetId":"__proto__","message":1}}', 'message_queued'],
  ['toString as target', '{"type":"message","payload":{"targetId":"toString","message":1}}', 'message_queued'],
  [
    '__proto__ in the body',
    message('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}'),
    'message_queued'
  ],
  ['lone surrogate in the body', message('"\\ud800"'), 'message_queued'],
  ['NUL in the body', message('"\\u0000"'), 'message_queued'],
  ['NUL in the target', '{"type":"message","payload":{"targetId":"a\\u0000b","message":1}}', 'INVALID_MESSAGE'],
  [
    'lone surrogate in the target',
    '{"type":"message","payload":{"targetId":"\\udfff","message":1}}',
    'INVALID_MESSAGE'
  ],
  ['target too long', `{"type":"message","payload":{"targetId":"${'x'.repeat(257)}","message":1}}`, 'INVALID_MESSAGE'],
  [
    'target of full length',
    `{"type":"message","payload":{"targetId":"${'é'.repeat(256)}","message":1}}`,
    'message_queued'
  ],
  ['target a number', '{"type":"message","payload":{"targetId":5,"message":1}}', 'INVALID_MESSAGE'],
  ['message missing', '{"type":"message","payload":{"targetId":"a"}}', 'INVALID_MESSAGE'],
  ['message falsy', message('0'), 'INVALID_MESSAGE'],
  ['deep body', message(nested(64)), 'message_queued'],
  ['too deep body', message(nested(65)), 'INVALID_MESSAGE'],
  ['far too deep body', message(nested(100_000)), 'INVALID_MESSAGE'],
  ['deep frame', nested(130_000), 'INVALID_MESSAGE'],
  ['many values', message(`[${'1,'.repeat(9_998)}1]`), 'message_queued'],
  ['too many values', message(`[${'1,'.repeat(100_000)}1]`), 'INVALID_MESSAGE'],
  ['number out of range', message('1e999'), 'message_queued'],
  ['number out of range, inside', message('{"a":[-1e999]}'), 'message_queued'],
  ['SQL', message(`"'; drop table queue_entry; --"`), 'message_queued'],
  ['key of nobody', '{"type":"request_public_key","payload":{"targetId":"valueOf"}}', 'PEER_NOT_FOUND'],
  ['key of a number', '{"type":"request_public_key","payload":{"targetId":1}}', 'INVALID_MESSAGE'],
  ['the largest frame', message(`"${'x'.repeat(262_144 - message('""').length)}"`), 'message_queued'],
  ['one byte more', message(`"${'x'.repeat(262_145 - message('""').length)}"`), 'INVALID_MESSAGE'],
  ['more bytes than characters', message(`"${'é'.repeat(131_072)}"`), 'INVALID_MESSAGE'],
  ['1 MiB', 'x'.repeat(1_048_576), 'INVALID_MESSAGE']
]

async function withMarker(t: Parameters<typeof startTestServer>[0]): Promise<TestServer> {
  const server = await startTestServer(t, { SIGNALING_QUOTA_PER_SENDER: 1_000_000 })
  await server.join('marker')
  return server
}

test('every frame of the hostile corpus gets its documented answer, once', async (t) => {
  const server = await withMarker(t)
  const peer = await server.join('hostile')
  for (const [name, data, answer] of CORPUS) {
    await t.test(name, async () => {
      const answers = await answersTo(peer, data)
      assert.equal(answers.length, 1, JSON.stringify(answers))
      assert.equal(answers[0]!.payload.errorType ?? answers[0]!.type, answer, answers[0]!.payload.details)
    })
  }
  assert.equal(({} as Record<string, unknown>).polluted, undefined)
})

test('bodies with hostile content are delivered as they were', async (t) => {
  const server = await withMarker(t)
  const [alice, bob] = [await server.join('alice'), await server.join('bob')]
  for (const body of ['{"__proto__":{"a":1}}', '{"constructor":{"prototype":1}}', '"\\u0000\\ud800"', '[[[{}]]]']) {
    alice.sendRaw(`{"type":"message","payload":{"targetId":"bob","message":${body}}}`)
    assert.equal(JSON.stringify((await bob.next('message')).payload.message), JSON.stringify(JSON.parse(body)))
  }
})

test('a frame past 1 MiB closes its socket with 1009, broken UTF-8 with 1007', async (t) => {
  const server = await withMarker(t)
  const neighbour = await server.join('neighbour')
  const large = await server.join('large')
  large.sendRaw('x'.repeat(1_048_577))
  assert.equal((await large.closed).code, 1009)
  const broken = await server.join('broken')
  broken.ws.send(Buffer.from([0x22, 0xff, 0x22]), { binary: false })
  assert.equal((await broken.closed).code, 1007)
  await neighbour.next('peer_disconnected')
  await neighbour.next('peer_disconnected')
  await neighbour.nothingMore()
})

const KNOWN = ['register', 'discover', 'message', 'request_public_key', 'debug_question', 'peer_response']
const FIELDS = ['targetId', 'message', 'clientId', 'publicKey', 'verification', '__proto__', 'constructor', 'toString']

/** Frames near the grammar: right words in wrong places, any JSON anywhere, and valid text with a few characters changed. */
function frames() {
  const anything = fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.constantFrom(null, '', 0, -1, 'absent', [256], { a: 1 }))
  const payload = fc.oneof(anything, fc.dictionary(fc.oneof(fc.constantFrom(...FIELDS), fc.string()), anything))
  const frame = fc
    .record({ type: fc.oneof(fc.constantFrom(...KNOWN), anything), payload })
    .map((f) => JSON.stringify(f))
  const valid = fc.constantFrom(
    message('{"x":1}'),
    '{"type":"request_public_key","payload":{"targetId":"absent"}}',
    '{"type":"discover","payload":{}}'
  )
  const mutated = fc.tuple(valid, fc.nat(200), fc.nat(3), fc.string({ maxLength: 3 })).map(([text, at, cut, put]) => {
    const place = at % text.length
    return text.slice(0, place) + put + text.slice(place + cut)
  })
  return fc.oneof(
    frame,
    mutated,
    anything.map((value) => JSON.stringify(value)),
    fc.string({ unit: 'binary' })
  )
}

/** The documented answers to a frame from a registered peer: types, error types, or '' for silence. */
function allowed(text: string): string[] {
  let frame: { type?: unknown; payload?: unknown } | null = null
  try {
    frame = JSON.parse(text)
  } catch {}
  const isFrame = typeof frame === 'object' && frame !== null && !Array.isArray(frame) && frame.type && frame.payload
  if (!frame || !isFrame || !KNOWN.includes(frame.type as string)) return ['INVALID_MESSAGE']
  switch (frame.type) {
    case 'register':
      return ['INVALID_MESSAGE', 'INVALID_PUBLIC_KEY', 'INVALID_PROOF']
    case 'discover':
      return ['discover', 'INVALID_MESSAGE']
    case 'message':
      return ['message_queued', 'INVALID_MESSAGE']
    case 'request_public_key':
      return ['PEER_NOT_FOUND', 'INVALID_MESSAGE']
    case 'debug_question':
      return ['server_question', 'INVALID_MESSAGE']
    default:
      return ['', 'INVALID_MESSAGE']
  }
}

test('10,000 generated frames each get a documented answer while a neighbour talks undisturbed', async (t) => {
  const server = await withMarker(t)
  const seed = Date.now() & 0x7fffffff
  t.diagnostic(`seed ${seed}`)
  const samples = fc.sample(frames(), { numRuns: 10_000, seed })
  let fuzzing = true
  const talk = async () => {
    const [alice, bob] = [await server.join('talker'), await server.join('listener')]
    for (let n = 1; fuzzing; n++) {
      alice.send({ type: 'message', payload: { targetId: 'listener', message: n } })
      let heard = await bob.next('message')
      while (heard.payload.fromId !== 'talker') heard = await bob.next('message')
      assert.equal(heard.payload.message, n)
    }
  }
  const attack = async (worker: number) => {
    const peer = await server.join(`hostile-${worker}`)
    for (let at = worker; at < samples.length; at += 10) {
      const answers = await answersTo(peer, samples[at]!)
      const got = answers.map((answer) => answer.payload.errorType ?? answer.type)
      assert.ok(got.length <= 1 && allowed(samples[at]!).includes(got[0] ?? ''), `${samples[at]} got ${got}`)
    }
  }
  const talking = talk()
  await Promise.all(Array.from({ length: 10 }, (_, worker) => attack(worker))).finally(() => {
    fuzzing = false
  })
  await talking
  assert.equal((await fetch(`${server.addresses.http}/health/ready`)).status, 200)
})

test('a socket that floods with bad frames is slowed down, its neighbour is not', async (t) => {
  const server = await startTestServer(t, { MAX_REFUSED_FRAMES_PER_SECOND: 50 })
  const [alice, flooder] = [await server.join('alice'), await server.join('flooder')]
  for (let n = 0; n < 500; n++) flooder.sendRaw('x')
  await alice.nothingMore()
  assert.ok(flooder.inbox.length <= 100, `${flooder.inbox.length} frames were refused at once`)
  flooder.terminate()
})

test('a register frame for someone else, replayed on another socket, steals nothing', async (t) => {
  const server = await startTestServer(t)
  const owner = await quickIdentity()
  const frame = await registerFrame('alice', owner)
  const alice = await server.join('alice', owner)
  const thief = await server.peer()
  thief.send(frame)
  assert.equal((await thief.next()).payload.errorType, 'CLIENT_ID_TAKEN')
  await alice.nothingMore()
})
