import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { createIdentity } from '../../client/src/identity.ts'
import { open, seal } from '../../client/src/sealed.ts'
import { quickIdentity } from '../helpers/peer.ts'
import { startTestServer } from '../helpers/server.ts'

const messages = JSON.parse(readFileSync(new URL('../vectors/signaling-messages.json', import.meta.url), 'utf8'))

const send = (targetId: unknown, message: unknown) => ({ type: 'message', payload: { targetId, message } })

test('a message reaches a connected peer unchanged, and its sender hears nothing', async (t) => {
  const server = await startTestServer(t)
  const alice = await server.join('alice')
  const bob = await server.join('bob')
  const bodies = ['text', 7, true, [1, [2, [3]]], { a: null, __proto__x: 1 }, '\u0000', '\ud800', 'é😀', { '': '' }]
  for (const body of bodies) {
    alice.send(send('bob', body))
    assert.deepEqual(await bob.next(), { type: 'message', payload: { message: body, fromId: 'alice' } })
  }
  await alice.nothingMore()
})

test('a body arrives as it was written, also what no double holds, live and from the mailbox', async (t) => {
  const server = await startTestServer(t)
  const body = '{"b":1e999, "a": -0.10000000000000000001,"a":12345678901234567890 ,\t"\\u0061":"\\/"}'
  const alice = await server.join('alice')
  const bob = await server.join('bob')
  const sendTo = (id: string) =>
    alice.ws.send(`{"type":"message","payload":{"message":${body},"targetId":"${id}"},"timestamp":1}`)
  const live = once(bob.ws, 'message')
  sendTo('bob')
  assert.ok(String((await live)[0]).includes(`"message":${body},`))
  sendTo('carol')
  await alice.next('message_queued')
  const carol = await server.peer()
  const heard: string[] = []
  carol.ws.on('message', (data) => heard.push(String(data)))
  await carol.register('carol')
  await carol.next('message')
  assert.ok(heard[1]!.includes(`"message":${body},`))
})

test('messages made by the real client are relayed, opened and equal the plaintext', async (t) => {
  const server = await startTestServer(t)
  const alice = await server.join('vector-alice')
  const { publicKey, secretKey } = {
    publicKey: Buffer.from(messages.keys.B.publicKeyBase64, 'base64'),
    secretKey: Buffer.from(messages.keys.B.secretKeyBase64, 'base64')
  }
  const bob = await server.join('vector-bob', await quickIdentity(publicKey))
  for (const { frame, plaintextUtf8 } of messages.vectors) {
    alice.send(frame)
    const { payload } = await bob.next('message')
    assert.deepEqual(payload, { message: frame.payload.message, fromId: 'vector-alice' })
    assert.equal(await open(payload.message, secretKey), plaintextUtf8)
  }
})

test('what would end a real client is not passed on to it', async (t) => {
  const server = await startTestServer(t)
  const alice = await server.join('alice')
  const bob = await server.join('bob', await createIdentity())
  const carol = await server.join('carol')
  for (const body of messages.relayOnly[0].messages) {
    alice.send(send('bob', body))
    assert.equal((await alice.next()).payload.errorType, 'INVALID_MESSAGE')
    alice.send(send('carol', body)) // no real client: relayed as it is
    assert.deepEqual((await carol.next('message')).payload.message, body)
  }
  await bob.close()
  alice.send(send('bob', 'plain text'))
  assert.equal((await alice.next()).payload.errorType, 'INVALID_MESSAGE')
})

test('a body of lengths that an ML-KEM-768 client cannot open is refused, whether that client is here or away', async (t) => {
  const server = await startTestServer(t)
  const alice = await server.join('alice')
  const bob = await server.join('bob', await createIdentity())
  const body = (key: number, data: number) => ({
    algorithm: 'ml-kem-aes',
    serializedCipherText: Buffer.alloc(key).toString('base64'),
    serializedEncryptedData: Buffer.alloc(data).toString('base64')
  })
  const wrong = [body(1_087, 28), body(1_089, 28), body(0, 28), body(1_088, 27), body(1_088, 0)]
  const refuseAll = async () => {
    for (const message of wrong) {
      alice.send(send('bob', message))
      assert.equal((await alice.next()).payload.errorType, 'INVALID_MESSAGE')
    }
  }
  await refuseAll()
  alice.send(send('bob', body(1_088, 28)))
  assert.deepEqual((await bob.next('message')).payload.message, body(1_088, 28))
  await bob.close()
  await alice.next('peer_disconnected')
  await refuseAll()
  alice.send(send('bob', body(1_088, 28)))
  await alice.next('message_queued')
})

test('a message to oneself comes back', async (t) => {
  const server = await startTestServer(t)
  const alice = await server.join('alice')
  alice.send(send('alice', 'note'))
  const { timestamp, ...payload } = (await alice.next()).payload // with a time if it came before she had caught up
  assert.deepEqual(payload, { message: 'note', fromId: 'alice' })
})

test('messages from one sender arrive in the order they were sent, whatever the batches', async (t) => {
  const server = await startTestServer(t)
  const alice = await server.join('alice')
  const bob = await server.join('bob')
  for (let n = 1; n <= 2_000; n++) alice.send(send('bob', n))
  for (let n = 1; n <= 2_000; n++) assert.equal((await bob.next('message')).payload.message, n)
  await alice.nothingMore()
  await bob.nothingMore()
})

test('the key of a peer is answered while it is away, and refused only for a name never seen', async (t) => {
  const server = await startTestServer(t)
  const alice = await server.join('alice')
  const bob = await server.join('bob')
  const ask = async (targetId: string) => {
    alice.send({ type: 'request_public_key', payload: { targetId } })
    return (await alice.next()).payload
  }
  const answer = { peerId: 'bob', publicKey: [...bob.identity.publicKey] }
  assert.deepEqual(await ask('bob'), answer)
  await bob.close()
  await alice.next('peer_disconnected')
  assert.deepEqual(await ask('bob'), answer)
  const { errorType, details } = await ask('nobody')
  assert.deepEqual([errorType, details], ['PEER_NOT_FOUND', 'Target peer nobody not found'])
})

test('the key of an absent peer is still known after a restart', async (t) => {
  const first = await startTestServer(t)
  const bob = await first.join('bob')
  await first.close()
  const second = await startTestServer(t, { DATABASE_URL: first.databaseUrl })
  const alice = await second.join('alice')
  alice.send({ type: 'request_public_key', payload: { targetId: 'bob' } })
  assert.deepEqual((await alice.next()).payload.publicKey, [...bob.identity.publicKey])
})

test('discover lists everybody in the order of names, the caller too', async (t) => {
  const server = await startTestServer(t)
  const peers = ['carol', 'alice', 'toString', '__proto__']
  const joined = []
  for (const id of peers) joined.push(await server.join(id))
  joined[1]!.send({ type: 'discover', payload: {} })
  assert.deepEqual(await joined[1]!.next(), { type: 'discover', payload: { peers: [...peers].sort() } })
})

test('the others hear of a peer that left, once; one that came back in between is not announced', async (t) => {
  const server = await startTestServer(t)
  const alice = await server.join('alice')
  const owner = await quickIdentity()
  const bob = await server.join('bob', owner)
  const stranger = await server.peer()
  await bob.close()
  assert.deepEqual(await alice.next(), { type: 'peer_disconnected', payload: { peerId: 'bob' } })
  await server.join('bob', owner)
  await alice.nothingMore()
  await stranger.nothingMore()
})

test('requests before registration are refused, with one frame each', async (t) => {
  const server = await startTestServer(t)
  const stranger = await server.peer()
  const requests = [
    send('alice', 'x'),
    { type: 'discover', payload: {} },
    { type: 'request_public_key', payload: { targetId: 'alice' } },
    { type: 'debug_question', payload: {} },
    { type: 'peer_response', payload: {} }
  ]
  for (const request of requests) {
    stranger.send(request)
    assert.equal((await stranger.next()).payload.errorType, 'REGISTRATION_REQUIRED', request.type)
  }
  await stranger.nothingMore()
})

test('a debug question comes back as a server question, and its response is taken silently', async (t) => {
  const server = await startTestServer(t)
  const alice = await server.join('alice')
  alice.send({ type: 'debug_question', payload: {} })
  const { payload } = await alice.next('server_question')
  assert.match(payload.questionId, /^[0-9a-f-]{36}$/)
  assert.equal(typeof payload.question.text, 'string')
  alice.send({ type: 'peer_response', payload: { questionId: payload.questionId, response: { any: 'thing' } } })
  await alice.nothingMore()
})

test('answers to one socket keep the order of its requests, also behind a commit', async (t) => {
  const server = await startTestServer(t)
  const alice = await server.join('alice')
  for (let round = 0; round < 50; round++) {
    alice.send(send('absent', { round }))
    alice.send({ type: 'discover', payload: {} })
    alice.send({ type: 'request_public_key', payload: { targetId: `nobody-${round}` } })
  }
  for (let round = 0; round < 50; round++) {
    assert.equal((await alice.next()).type, 'message_queued')
    assert.equal((await alice.next()).type, 'discover')
    assert.match((await alice.next()).payload.details, new RegExp(`nobody-${round} `))
  }
})

test('the client encrypts, the server relays, the other client decrypts', async (t) => {
  const server = await startTestServer(t)
  const alice = await server.join('alice', await createIdentity())
  const identity = await createIdentity()
  const bob = await server.join('bob', identity)
  alice.send({ type: 'request_public_key', payload: { targetId: 'bob' } })
  const key = Uint8Array.from((await alice.next('public_key_response')).payload.publicKey)
  alice.send(send('bob', await seal('hello, bob', key)))
  assert.equal(await open((await bob.next('message')).payload.message, identity.secretKey), 'hello, bob')
})
