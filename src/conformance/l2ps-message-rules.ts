// The rules of L2PS messaging on messages and history: docs/protocol.md, 1.3, 1.8, 4.3, 4.4 and 5.3.
import type { Frame } from './connection.ts'
import {
  ask,
  askHistory,
  body,
  enter,
  expectError,
  expectNoMessage,
  keyOf,
  nextMessage,
  quickSigner,
  sending
} from './l2ps-peer.ts'
import { expect, expectSame, expectType, fresh, type Rule } from './rule.ts'

const QUOTA = 200
const BODY = '{ "ciphertext" : "QUJD", "nonce":"MTIzNDU2Nzg5MDEy", "n":1e999, "z":1,"a":2,"a":3 }'

/** The key of a peer that has never connected. */
const awayKey = async () => keyOf(await quickSigner())

export const L2PS_MESSAGE_RULES: readonly Rule[] = [
  {
    section: '1.3',
    title: 'a body is relayed byte for byte, to a connected peer and in history',
    check: async (stage) => {
      const [alice, bob] = [await enter(stage, 'alice'), await enter(stage, 'bob')]
      const hash = fresh('hash')
      const { socket } = alice
      const payload = `{"to":"${bob.key}","encrypted":${BODY},"messageHash":"${hash}"}`
      socket.sendRaw(`{"type":"send","payload":${payload},"timestamp":${Date.now()},"requestId":"${hash}"}`)
      expectType(await socket.take('the answer', ({ requestId }) => requestId === hash), 'message_sent')
      const expectBody = ({ text }: Frame, how: string) => expect(text.includes(BODY), `the body was changed ${how}`)
      expectBody(await nextMessage(bob), 'on its way')
      expectBody(await askHistory(alice, bob.key), 'in history')
    }
  },
  {
    section: '4.3',
    title: 'a connected recipient gets the message with offline: false, and the sender message_sent',
    check: async (stage) => {
      const [alice, bob] = [await enter(stage, 'alice'), await enter(stage, 'bob')]
      const message = sending(bob.key)
      const { payload } = expectType(await alice.ask('send', message), 'message_sent')
      expectSame([payload.messageHash, payload.l2psStatus], [message.messageHash, 'submitted'], 'the confirmation')
      const { from, encrypted, messageHash, offline } = (await nextMessage(bob)).payload
      expectSame(
        [from, encrypted, messageHash, offline],
        [alice.key, message.encrypted, message.messageHash, false],
        'the message'
      )
    }
  },
  {
    section: '4.3',
    title: 'a message to a peer that is away is queued, and delivered with offline: true',
    check: async (stage) => {
      const [alice, signer] = [await enter(stage, 'alice'), await quickSigner()]
      const messages = Array.from({ length: 20 }, () => sending(keyOf(signer)))
      for (const message of messages) {
        const { payload } = expectType(await alice.ask('send', message), 'message_queued')
        expectSame([payload.messageHash, payload.status], [message.messageHash, 'queued'], 'the confirmation')
      }
      const bob = await enter(stage, 'bob', { signer })
      for (const { messageHash } of messages) {
        const { payload } = await nextMessage(bob)
        expectSame([payload.messageHash, payload.offline], [messageHash, true], 'messageHash and offline')
      }
    }
  },
  {
    section: '4.3',
    title: 'an exact repeat is confirmed again and delivered once',
    check: async (stage) => {
      const [alice, bob] = [await enter(stage, 'alice'), await enter(stage, 'bob')]
      const message = sending(bob.key)
      for (let n = 0; n < 2; n++) expectType(await alice.ask('send', message), 'message_sent')
      await nextMessage(bob)
      await expectNoMessage(bob, 'a repeat')
    }
  },
  {
    section: '4.3',
    title: 'the same messageHash with another body gets L2PS_SUBMIT_FAILED',
    check: async (stage) => {
      const alice = await enter(stage, 'alice')
      const message = sending(await awayKey())
      expectType(await alice.ask('send', message), 'message_queued')
      const other = { ...message, encrypted: body('REVG') }
      expectError(await alice.ask('send', other), 'L2PS_SUBMIT_FAILED', 'another body')
    }
  },
  {
    section: '4.3',
    title: 'one messageHash may go to several recipients',
    check: async (stage) => {
      const alice = await enter(stage, 'alice')
      const hash = fresh('hash')
      for (let n = 0; n < 2; n++) {
        expectType(await alice.ask('send', sending(await awayKey(), hash)), 'message_queued')
      }
    }
  },
  {
    section: '4.3',
    title: 'missing members, a recipient that is no key, oneself, and a body without ciphertext get INVALID_MESSAGE',
    check: async (stage) => {
      const alice = await enter(stage, 'alice')
      const whole = sending(await awayKey())
      const wrong: [string, object][] = [
        ['no to', { ...whole, to: undefined }],
        ['no encrypted', { ...whole, encrypted: undefined }],
        ['no messageHash', { ...whole, messageHash: undefined }],
        ['no ciphertext', { ...whole, encrypted: { nonce: 'AAAA' } }],
        ['no key', { ...whole, to: 'bob' }],
        ['oneself', { ...whole, to: alice.key }]
      ]
      for (const [what, payload] of wrong) expectError(await alice.ask('send', payload), 'INVALID_MESSAGE', what)
    }
  },
  {
    section: '4.3',
    title: 'a ciphertext has 131,072 characters at most',
    check: async (stage) => {
      const alice = await enter(stage, 'alice')
      const send = async (length: number) =>
        alice.ask('send', sending(await awayKey(), fresh('hash'), body('A'.repeat(length))))
      expectType(await send(131_072), 'message_queued')
      expectError(await send(131_073), 'INVALID_MESSAGE', '131,073 characters')
    }
  },
  {
    section: '4.4',
    title: 'history has both directions, newest first, in pages by before',
    check: async (stage) => {
      const [alice, bob] = [await enter(stage, 'alice'), await enter(stage, 'bob')]
      const hashes: string[] = []
      for (const [from, to] of [
        [alice, bob],
        [bob, alice],
        [alice, bob]
      ] as const) {
        const message = sending(to.key)
        hashes.unshift(message.messageHash)
        expectType(await from.ask('send', message), 'message_sent')
      }
      const first = expectType(await askHistory(bob, alice.key, { limit: 2 }), 'history_response').payload
      const hashesOf = (page: typeof first) => page.messages.map(({ messageHash }: Frame['payload']) => messageHash)
      expectSame([hashesOf(first), first.hasMore], [hashes.slice(0, 2), true], 'the first page')
      const { timestamp } = first.messages.at(-1)
      const rest = (await askHistory(bob, alice.key, { limit: 2, before: timestamp })).payload
      expectSame([hashesOf(rest), rest.hasMore], [hashes.slice(2), false], 'the second page')
    }
  },
  {
    section: '4.4',
    title:
      'history without a proof gets INVALID_MESSAGE, with a wrong one INVALID_PROOF, with a wrong limit INVALID_MESSAGE',
    check: async (stage) => {
      const [alice, key] = [await enter(stage, 'alice'), await awayKey()]
      expectError(await alice.ask('history', { peerKey: key }), 'INVALID_MESSAGE', 'no proof')
      const proof = 'ab'.repeat(64)
      const extra = { timestamp: Date.now() }
      expectError(await ask(alice.socket, 'history', { peerKey: key, proof }, extra), 'INVALID_PROOF', 'a wrong proof')
      for (const limit of [0, 201, 1.5]) {
        expectError(await askHistory(alice, key, { limit }), 'INVALID_MESSAGE', `limit ${limit}`)
      }
    }
  },
  {
    section: '1.8',
    title: 'a sender may have 200 messages waiting in a network: the next gets RATE_LIMITED',
    check: async (stage) => {
      const [alice, signer] = [await enter(stage, 'alice'), await quickSigner()]
      const key = keyOf(signer)
      const answers = await Promise.all(Array.from({ length: QUOTA }, () => alice.ask('send', sending(key))))
      for (const answer of answers) expectType(answer, 'message_queued')
      expectError(await alice.ask('send', sending(key)), 'RATE_LIMITED', 'the 201st message')
      const bob = await enter(stage, 'bob', { signer })
      for (let n = 0; n < QUOTA; n++) await nextMessage(bob)
      await expectNoMessage(bob, 'a message that was refused')
    }
  },
  {
    section: '5.3',
    title: 'every socket of a key gets every message',
    check: async (stage) => {
      const [alice, signer] = [await enter(stage, 'alice'), await quickSigner()]
      const sockets = [await enter(stage, 'bob', { signer }), await enter(stage, 'bob, second socket', { signer })]
      const message = sending(keyOf(signer))
      expectType(await alice.ask('send', message), 'message_sent')
      for (const socket of sockets) {
        expectSame((await nextMessage(socket)).payload.messageHash, message.messageHash, 'messageHash')
      }
    }
  }
]
