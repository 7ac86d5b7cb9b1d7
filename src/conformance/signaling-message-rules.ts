// The rules of signaling on messages: docs/protocol.md, 1.3 to 1.6, 2.3, 2.6, 2.10 and 3.5.
import { setTimeout as delay } from 'node:timers/promises'
import { digestOf } from '../../client/src/digest.ts'
import type { Frame } from './connection.ts'
import { expect, expectSame, expectType, fresh, needs, type Rule } from './rule.ts'
import { expectError, expectNothingMore, join, nextMessage, officialKeys, type Peer } from './signaling-peer.ts'

/** A body whose text changes when it is parsed and written anew. */
const BODY = '{ "n" : 1e999, "big":12345678901234567890.10, "z":1,"a":2,"a":3, "e":"\\u00e9\\/" }'
const QUOTA = 100
/** Between two questions for a record, ms. */
const ASK_AGAIN_MS = 200

/** Says something to a peer that is away; takes the confirmation. */
async function leave(sender: Peer, targetId: string, message: unknown): Promise<Frame> {
  sender.send('message', { targetId, message })
  const frame = await sender.socket.take('message_queued', ({ type }) => type !== 'peer_disconnected')
  return expectType(frame, 'message_queued')
}

/** Asks until the log that has the record is signed. */
async function recordsOf(peer: Peer, question: object, waitMs: number): Promise<readonly string[]> {
  for (const deadline = performance.now() + waitMs; ; await delay(ASK_AGAIN_MS)) {
    peer.send('request_record', question)
    const { type, payload } = await peer.socket.next('record_response')
    const isUnknown = type === 'error' && payload.errorType === 'INVALID_MESSAGE' && /unknown/i.test(payload.details)
    needs(!isUnknown, 'the frame request_record is not known')
    expect(type === 'record_response' && Array.isArray(payload.records), `expected records, but ${type} came`)
    if (payload.records.length > 0 || performance.now() > deadline) return payload.records
  }
}

const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)

export const SIGNALING_MESSAGE_RULES: readonly Rule[] = [
  {
    section: '1.3',
    title: 'a body is relayed byte for byte, to a connected peer and from the mailbox',
    check: async (stage) => {
      const [alice, bob] = [await join(stage, 'alice'), await join(stage, 'bob')]
      const say = () => alice.socket.sendRaw(`{"type":"message","payload":{"targetId":"${bob.id}","message":${BODY}}}`)
      const expectBody = ({ text }: Frame, how: string) => expect(text.includes(BODY), `the body was changed ${how}`)
      say()
      expectBody(await nextMessage(bob), 'on its way to a connected peer')
      await bob.socket.close()
      await alice.socket.take('peer_disconnected', ({ type }) => type === 'peer_disconnected')
      say()
      expectType(await alice.socket.next('message_queued'), 'message_queued')
      expectBody(await nextMessage(await join(stage, 'bob again', bob)), 'in the mailbox')
    }
  },
  {
    section: '1.3',
    title: 'a body that is nested deeper than 64 levels gets INVALID_MESSAGE',
    check: async (stage) => {
      const peer = await join(stage, 'peer')
      const say = (body: string) =>
        peer.socket.sendRaw(`{"type":"message","payload":{"targetId":"${peer.id}","message":${body}}}`)
      say(nested(64))
      await nextMessage(peer)
      say(nested(65))
      await expectError(peer.socket, 'INVALID_MESSAGE', '65 levels')
    }
  },
  {
    section: '1.4',
    title: 'a recipient gets the messages of a sender in their order, those that waited first',
    check: async (stage) => {
      const alice = await join(stage, 'alice')
      const id = fresh('bob')
      for (let n = 0; n < 20; n++) await leave(alice, id, `number ${n}`)
      const bob = await join(stage, 'bob', { id })
      for (let n = 20; n < 40; n++) alice.send('message', { targetId: id, message: `number ${n}` })
      for (let n = 0; n < 40; n++) expectSame((await nextMessage(bob)).payload.message, `number ${n}`, 'the message')
    }
  },
  {
    section: '1.6',
    title: 'a session that offers "ack" gets a message again until it acknowledges it',
    check: async (stage) => {
      const alice = await join(stage, 'alice')
      const id = fresh('bob')
      await leave(alice, id, 'once more')
      const first = await join(stage, 'bob', { id, features: ['ack'] })
      const { payload } = await nextMessage(first)
      needs(payload.seq !== undefined, 'messages carry no seq')
      await first.socket.close()
      const second = await join(stage, 'bob again', { id, keys: first.keys, features: ['ack'] })
      const again = await nextMessage(second)
      expectSame([again.payload.message, again.payload.seq], ['once more', payload.seq], 'the second delivery')
      second.send('ack', { seq: again.payload.seq })
      await expectNothingMore(second, 'ack')
      await second.socket.close()
      const third = await join(stage, 'bob a third time', { id, keys: first.keys, features: ['ack'] })
      await leave(alice, fresh('nobody'), 'a round trip')
      await expectNothingMore(third, 'a message that was acknowledged')
    }
  },
  {
    section: '1.6',
    title: 'sessions that did not offer "ack" never see seq',
    check: async (stage) => {
      const [alice, bob] = [await join(stage, 'alice'), await join(stage, 'bob')]
      alice.send('message', { targetId: bob.id, message: 'sealed' })
      expectSame((await nextMessage(bob)).payload.seq, undefined, 'seq')
    }
  },
  {
    section: '2.3',
    title: 'a connected recipient gets the message with fromId, and the sender gets no reply',
    check: async (stage) => {
      const [alice, bob] = [await join(stage, 'alice'), await join(stage, 'bob')]
      alice.send('message', { targetId: bob.id, message: { sealed: 1 }, fromId: bob.id })
      const { payload } = await nextMessage(bob)
      expectSame([payload.fromId, payload.message], [alice.id, { sealed: 1 }], 'fromId and message')
      await expectNothingMore(alice, 'a message to a connected peer')
    }
  },
  {
    section: '2.3',
    title: 'a message to a peer that is away is answered with message_queued',
    check: async (stage) => {
      const targetId = fresh('away')
      const { payload } = await leave(await join(stage, 'alice'), targetId, 'sealed')
      expectSame([payload.targetId, payload.status], [targetId, 'offline'], 'targetId and status')
    }
  },
  {
    section: '2.3',
    title: 'a message to oneself comes back',
    check: async (stage) => {
      const peer = await join(stage, 'peer')
      peer.send('message', { targetId: peer.id, message: 'to me' })
      expectSame((await nextMessage(peer)).payload.fromId, peer.id, 'fromId')
    }
  },
  {
    section: '2.3',
    title: 'a message without targetId or body gets INVALID_MESSAGE',
    check: async (stage) => {
      const peer = await join(stage, 'peer')
      for (const payload of [{ message: 'x' }, { targetId: peer.id }, { targetId: peer.id, message: null }]) {
        peer.send('message', payload)
        await expectError(peer.socket, 'INVALID_MESSAGE', JSON.stringify(payload))
      }
    }
  },
  {
    section: '2.3',
    title: 'a sender may have 100 messages waiting: the 101st gets INTERNAL_ERROR',
    check: async (stage) => {
      const alice = await join(stage, 'alice')
      const id = fresh('away')
      for (let n = 0; n < QUOTA; n++) await leave(alice, id, n + 1)
      alice.send('message', { targetId: id, message: 'one too many' })
      await expectError(alice.socket, 'INTERNAL_ERROR', 'the 101st message')
      const bob = await join(stage, 'bob', { id })
      for (let n = 0; n < QUOTA; n++) await nextMessage(bob)
      await expectNothingMore(bob, 'a message that was refused')
    }
  },
  {
    section: '2.6',
    title: 'messages that waited follow the reply, oldest first, with the time of their acceptance',
    check: async (stage) => {
      const alice = await join(stage, 'alice')
      const id = fresh('bob')
      for (const word of ['first', 'second']) await leave(alice, id, word)
      const bob = await join(stage, 'bob', { id })
      const [first, second] = [await nextMessage(bob), await nextMessage(bob)]
      expectSame([first.payload.message, second.payload.message], ['first', 'second'], 'the messages')
      const times = [first.payload.timestamp, second.payload.timestamp]
      expect(times.every(Number.isInteger), 'expected a timestamp in ms')
      expect(times[0] <= times[1], 'expected times that do not fall')
    }
  },
  {
    section: '2.10',
    title: 'the sender and the recipient of a message are told its record, and nobody else is',
    check: async (stage) => {
      const [alice, bob, eve] = [await join(stage, 'alice'), await join(stage, 'bob'), await join(stage, 'eve')]
      alice.send('message', { targetId: bob.id, message: 'on record' })
      await nextMessage(bob)
      const question = { fromId: alice.id, targetId: bob.id, digest: await digestOf('"on record"') }
      const records = await recordsOf(bob, question, stage.target.waitMs)
      expect(records.length === 1 && /^[0-9a-f]{64}$/.test(records[0]!), 'expected one hash in records')
      expectSame(await recordsOf(alice, question, stage.target.waitMs), records, 'what the sender is told')
      eve.send('request_record', question)
      await expectError(eve.socket, 'INVALID_MESSAGE', 'a question about a message of others')
      const other = { ...question, digest: await digestOf('"something else"') }
      bob.send('request_record', other)
      const { payload } = expectType(await bob.socket.next('record_response'), 'record_response')
      expectSame(payload, { ...other, records: [] }, 'the answer about a body that was never sent')
    }
  },
  {
    section: '3.5',
    title: 'a body that a peer with an ML-KEM-768 key could not open gets INVALID_MESSAGE',
    check: async (stage) => {
      const [alice, bob] = [await join(stage, 'alice'), await join(stage, 'bob', { keys: await officialKeys() })]
      const whole = {
        algorithm: 'ml-kem-aes',
        serializedCipherText: btoa('x'.repeat(1_088)),
        serializedEncryptedData: btoa('x'.repeat(28))
      }
      alice.send('message', { targetId: bob.id, message: whole })
      await nextMessage(bob)
      for (const message of ['text', { ...whole, serializedCipherText: btoa('x') }, { ...whole, algorithm: 'rot13' }]) {
        alice.send('message', { targetId: bob.id, message })
        await expectError(alice.socket, 'INVALID_MESSAGE', JSON.stringify(message).slice(0, 80))
        await expectNothingMore(bob, 'a body that was refused')
      }
    }
  }
]
