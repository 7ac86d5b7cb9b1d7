import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSigner } from '../../client/src/identity.ts'
import { sendFrame } from '../helpers/l2ps-peer.ts'
import { quickSigner } from '../helpers/peer.ts'
import { startTestServer } from '../helpers/server.ts'

const encrypted = { ciphertext: 'QUJD', nonce: 'MTIzNDU2Nzg5MDEy', ephemeralKey: '00', unknown: { kept: [1, null] } }

test('a message reaches a peer that is here, whole, and its sender hears message_sent', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('net')
  const [alice, bob] = [await server.enter('net'), await server.enter('net')]
  const answer = await alice.answerTo(alice.send('send', { to: bob.key, encrypted, messageHash: 'h1' }))
  assert.deepEqual([answer.type, answer.payload], ['message_sent', { messageHash: 'h1', l2psStatus: 'submitted' }])
  const { payload, requestId } = await bob.next('message')
  assert.deepEqual(payload, { from: alice.key, encrypted, messageHash: 'h1', offline: false })
  assert.equal(requestId, undefined)
})

test('a message to a peer that is away is queued and delivered when it comes, in order', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('net')
  const alice = await server.enter('net')
  const owner = await quickSigner()
  const to = Buffer.from(owner.signingPublicKey).toString('hex')
  for (let n = 1; n <= 150; n++) {
    const answer = await alice.answerTo(alice.send('send', { to, encrypted, messageHash: `h${n}` }))
    assert.deepEqual([answer.type, answer.payload], ['message_queued', { messageHash: `h${n}`, status: 'queued' }])
  }
  const bob = await server.enter('net', owner)
  for (let n = 1; n <= 150; n++) {
    const { payload } = await bob.next('message')
    assert.deepEqual(payload, { from: alice.key, encrypted, messageHash: `h${n}`, offline: true })
  }
  await server.emptied()
  await bob.close()
  await (await server.enter('net', owner)).nothingMore()
})

test('a frame of 300,000 bytes is refused under its requestId, wherever that stands', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('net')
  const alice = await server.enter('net')
  const frame = (before: object, after: object) =>
    JSON.stringify({ ...before, ...sendFrame(alice.key, 'A'.repeat(299_700)), timestamp: 1, ...after }).padEnd(300_000)
  alice.sendRaw(frame({ requestId: 'first' }, {}))
  alice.sendRaw(frame({}, { requestId: 'last' }))
  for (const requestId of ['first', 'last']) {
    const { type, payload } = await alice.answerTo(requestId)
    assert.deepEqual(
      [type, payload.code, payload.message.slice(0, 17)],
      ['error', 'INVALID_MESSAGE', 'Message too large']
    )
  }
  await alice.nothingMore()
})

test('a key that was never seen can be sent to, and a long key too', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('net')
  const owner = await createSigner('ml-dsa', crypto.getRandomValues(new Uint8Array(32)))
  const key = Buffer.from(owner.signingPublicKey).toString('hex')
  const alice = await server.enter('net')
  assert.equal((await alice.answerTo(alice.send(sendFrame(key)))).type, 'message_queued')
  const bob = await server.enter('net', owner)
  await bob.next('message')
  await alice.next('peer_joined')
  bob.send(sendFrame(alice.key))
  assert.equal((await alice.next('message')).payload.from, key)
  await alice.close()
  bob.send(sendFrame(alice.key, 'AAAA', 'while away'))
  await bob.next('peer_left')
  await bob.close()
  const back = await server.enter('net', alice.signer)
  assert.equal((await back.next('message')).payload.from, key) // the long key of a sender that is away
})

test('an exact repeat is answered like the first time and not delivered again', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('net')
  const [alice, bob] = [await server.enter('net'), await server.enter('net')]
  await bob.nothingMore().catch(() => {})
  const frame = sendFrame(bob.key)
  for (let time = 0; time < 3; time++) assert.equal((await alice.answerTo(alice.send(frame))).type, 'message_sent')
  await bob.next('message')
  await server.emptied()
  assert.equal((await alice.answerTo(alice.send(frame))).type, 'message_sent') // received long ago
  const absent = sendFrame(
    (await quickSigner()).signingPublicKey.reduce((hex, byte) => hex + byte.toString(16).padStart(2, '0'), '')
  )
  const ids = Array.from({ length: 5 }, () => alice.send(absent)) // in one batch
  for (const id of ids) assert.equal((await alice.answerTo(id)).type, 'message_queued')
  const [row] = await server.app.database
    .sql`select count(*)::int as n, (select sum(entries)::int from quota) as slots from queue_entry`
  assert.deepEqual(row, { n: 1, slots: 2 })
  const other = { ...frame, payload: { ...frame.payload, encrypted: { ciphertext: 'other', nonce: 'AAAA' } } }
  const { payload } = await alice.answerTo(alice.send(other))
  assert.deepEqual(payload, { code: 'L2PS_SUBMIT_FAILED', message: 'Duplicate message' })
  await bob.nothingMore()
})

test('one hash may go to many, come from many, and be used in many networks', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('net', 'other')
  const [alice, bob, carol] = [await server.enter('net'), await server.enter('net'), await server.enter('net')]
  const elsewhere = [await server.enter('other', alice.signer), await server.enter('other', bob.signer)] as const
  const to = (key: string) => sendFrame(key, 'AAAA', 'one hash')
  for (const [sender, key] of [
    [alice, bob.key],
    [alice, carol.key],
    [bob, alice.key],
    [carol, bob.key],
    [elsewhere[0], bob.key]
  ] as const) {
    assert.equal((await sender.answerTo(sender.send(to(key)))).type, 'message_sent')
  }
  await elsewhere[1].next('message')
  await elsewhere[1].nothingMore()
})

test('a sender may have 200 messages waiting in a network; a repeat of one of them is still answered', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('net', 'other')
  const alice = await server.enter('net')
  const absent = ['11', '22', '33'].map((pair) => pair.repeat(32))
  const frames = Array.from({ length: 300 }, (_, n) => sendFrame(absent[n % 3]!))
  const ids = frames.map((frame) => alice.send(frame))
  const answers = []
  for (const id of ids) answers.push(await alice.answerTo(id))
  assert.equal(answers.filter((answer) => answer.type === 'message_queued').length, 200)
  const refused = answers.filter((answer) => answer.type === 'error').map((answer) => answer.payload)
  assert.deepEqual(refused[0], { code: 'RATE_LIMITED', message: 'Offline message limit reached' })
  assert.equal((await alice.answerTo(alice.send(frames[0]!))).type, 'message_queued')
  const other = await server.enter('other', alice.signer)
  assert.equal((await other.answerTo(other.send(sendFrame(absent[0]!)))).type, 'message_queued')
})

test('what is wrong with a send is said in the words of the protocol, with its requestId', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('net')
  const [alice, bob] = [await server.enter('net'), await server.enter('net')]
  await alice.next('peer_joined')
  const good = sendFrame(bob.key).payload
  const cases: [object, string][] = [
    [{ ...good, to: undefined }, 'Missing to, encrypted, or messageHash'],
    [{ ...good, encrypted: undefined }, 'Missing to, encrypted, or messageHash'],
    [{ ...good, messageHash: '' }, 'Missing to, encrypted, or messageHash'],
    [{ ...good, encrypted: { nonce: 'A' } }, 'Encrypted payload must have ciphertext and nonce'],
    [{ ...good, encrypted: { ciphertext: 5, nonce: 'A' } }, 'Encrypted payload must have ciphertext and nonce'],
    [
      { ...good, encrypted: { ciphertext: 'x'.repeat(131_073), nonce: 'A' } },
      'Ciphertext too large (max 131072 bytes)'
    ],
    [{ ...good, to: alice.key.toUpperCase() }, 'Cannot send message to yourself'],
    [{ ...good, to: 'bob' }, 'Invalid to format (expected hex)'],
    [
      { ...good, to: `${bob.key}0` },
      'Invalid to format (expected hex): a key has 64 (ed25519) or 1794 (falcon) or 3904 (ml-dsa) digits, this one 65'
    ]
  ]
  for (const [payload, message] of cases) {
    const answer = await alice.answerTo(alice.send('send', payload))
    assert.deepEqual([answer.type, answer.payload], ['error', { code: 'INVALID_MESSAGE', message }])
  }
  const full = { ...good, encrypted: { ciphertext: 'x'.repeat(131_072), nonce: 'A' } }
  assert.equal((await alice.answerTo(alice.send('send', full))).type, 'message_sent')
  await bob.next('message')
  await bob.nothingMore()
})

test('before registration every request is refused, with its requestId', async (t) => {
  const server = await startTestServer(t)
  const stranger = await server.l2psPeer()
  for (const [type, message] of [
    ['send', 'Register before sending'],
    ['history', 'Register first'],
    ['discover', 'Register before discovering peers'],
    ['request_public_key', 'Register before requesting public keys']
  ] as const) {
    const { payload } = await stranger.answerTo(stranger.send(type, {}))
    assert.deepEqual(payload, { code: 'REGISTRATION_REQUIRED', message })
  }
})

test('frames that cannot be read are answered, and a requestId is echoed only where it is text', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('net')
  const [alice, bob] = [await server.enter('net'), await server.enter('net')]
  await alice.next('peer_joined')
  const cases: [string | Uint8Array, string, unknown][] = [
    ['{', 'Invalid JSON', undefined],
    ['null', 'Missing or invalid type/payload', undefined],
    ['[]', 'Missing or invalid type/payload', undefined],
    ['{"type":"send","requestId":"r"}', 'Missing or invalid type/payload', 'r'],
    ['{"type":"send","payload":[],"requestId":7}', 'Missing or invalid type/payload', undefined],
    ['{"type":"dance","payload":{},"requestId":"r"}', 'Unknown type: dance', 'r'],
    ['{"type":"toString","payload":{}}', 'Unknown type: toString', undefined],
    [`{"type":"dance","payload":{},"requestId":"${'r'.repeat(129)}"}`, 'Unknown type: dance', undefined],
    [new Uint8Array([1, 2, 3]), 'Binary frames are not accepted; send JSON as text', undefined],
    [`"${'x'.repeat(262_143)}"`, 'Message too large (max 262144 bytes)', undefined]
  ]
  for (const [data, message, requestId] of cases) {
    alice.sendRaw(data)
    const answer = await alice.next()
    assert.deepEqual([answer.payload, answer.requestId], [{ code: 'INVALID_MESSAGE', message }, requestId])
  }
  alice.send('ack', { messageHash: 'x' })
  await alice.nothingMore()
  await bob.nothingMore()
})

test('the key of a peer is answered while it is or was in the network, null for any other', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('net', 'other')
  const [alice, bob, elsewhere] = [await server.enter('net'), await server.enter('net'), await server.enter('other')]
  const ask = async (targetId: string) => (await alice.answerTo(alice.send('request_public_key', { targetId }))).payload
  assert.deepEqual(await ask(bob.key.toUpperCase()), { targetId: bob.key.toUpperCase(), publicKey: bob.key })
  await bob.close()
  assert.equal((await ask(bob.key)).publicKey, bob.key)
  assert.equal((await ask(elsewhere.key)).publicKey, null)
  assert.equal((await ask('nonsense')).publicKey, null)
})
