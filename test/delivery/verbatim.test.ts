// A sealed body is opaque: its recipient gets the very text that its sender wrote, whatever JSON would make of it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Line } from '../helpers/inbox.ts'
import { historyFrame, keyOf } from '../helpers/l2ps-peer.ts'
import { quickIdentity, quickSigner } from '../helpers/peer.ts'
import { startTestServer } from '../helpers/server.ts'

/** Members of an object; reading and writing any of them as JSON changes it. */
const MEMBERS = [
  '"n":9007199254740993',
  '"n":1e-400,"m":-0,"o":1E400',
  '"n":1.0,"m":1.10,"o":[100000000000000000000000000000.5]',
  '"b":1,"2":2,"1":{"10":0,"9":0,"a":0}',
  '"a":1,"a":{"b":1,"b":2},"\\u0061":3',
  '"a":"\\u0041\\u00e9\\/\\ud83d\\ude00","b":"\\\\\\"}","__proto__":{"c":1}',
  ' "a" :\t[ 1 ,\r\n 2 ]\n ,"b":{ } ,  "c":[\t]'
]

/** The texts of all `message` frames that come from now on. */
function messageTexts(peer: Line): string[] {
  const texts: string[] = []
  peer.ws.on('message', (data) => {
    if (JSON.parse(String(data)).type === 'message') texts.push(String(data))
  })
  return texts
}

function assertCarries(texts: readonly string[], bodies: readonly string[]): void {
  assert.equal(texts.length, bodies.length)
  for (const [index, body] of bodies.entries()) assert.ok(texts[index]!.includes(body), `${body}\n${texts[index]}`)
}

test('signaling: the text of a body arrives unchanged, live and from the mailbox', async (t) => {
  const server = await startTestServer(t)
  const alice = await server.join('alice')
  const identity = await quickIdentity()
  const bodies = [...MEMBERS.map((members) => `{${members}}`), '9007199254740993', '1.0', '[ 1.0 ]', '"\\u0041"']
  const sendAll = () => {
    for (const body of bodies) {
      alice.sendRaw(`{"payload" : {"message":"overridden","targetId":"bob","message": ${body} },"type":"message"}`)
    }
  }
  const carried = bodies.map((body) => `"message":${body},"fromId":"alice"`)
  const bob = await server.join('bob', identity)
  const live = messageTexts(bob)
  sendAll()
  for (const _ of bodies) await bob.next('message')
  assertCarries(live, carried)
  await server.emptied()
  await bob.close()
  await alice.next('peer_disconnected')
  sendAll()
  for (const _ of bodies) await alice.next('message_queued')
  const back = await server.peer()
  const queued = messageTexts(back)
  await back.register('bob', identity)
  for (const _ of bodies) await back.next('message')
  assertCarries(queued, carried)
})

test('L2PS: the text of a body arrives unchanged, live, from the mailbox and in history', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('net')
  const alice = await server.enter('net')
  const signer = await quickSigner()
  const bodies = MEMBERS.map((members) => `{"nonce":"AAAA",${members},"ciphertext":"AAAA"}`)
  const sendAll = async (when: string) => {
    for (const [index, body] of bodies.entries()) {
      const requestId = `${when} ${index}`
      const payload = `{"to":"${keyOf(signer)}","encrypted":${body},"messageHash":"${requestId}"}`
      alice.sendRaw(`{"type":"send","payload":${payload},"timestamp":1,"requestId":"${requestId}"}`)
      assert.equal((await alice.answerTo(requestId)).type, when === 'live' ? 'message_sent' : 'message_queued')
    }
  }
  const carried = bodies.map((body) => `"encrypted":${body},"messageHash"`)
  const bob = await server.enter('net', signer)
  await alice.next('peer_joined')
  const live = messageTexts(bob)
  await sendAll('live')
  for (const _ of bodies) await bob.next('message')
  assertCarries(live, carried)
  await server.emptied()
  await bob.close()
  await alice.next('peer_left')
  await sendAll('queued')
  const back = await server.l2psPeer()
  const queued = messageTexts(back)
  await back.register('net', signer)
  for (const _ of bodies) await back.next('message')
  assertCarries(queued, carried)

  let page = ''
  back.ws.on('message', (data) => {
    page = String(data)
  })
  const answer = await back.answerTo(back.send(await historyFrame(signer, alice.key)))
  assert.equal(answer.payload.messages.length, 2 * bodies.length)
  for (const body of bodies) assert.equal(page.split(`"encrypted":${body},"`).length, 3, body) // live and queued
})
