// The rules of L2PS messaging on joining a network and on who is there: docs/protocol.md, 1, 4.1, 4.2, 4.5 to 4.10.
import {
  ask,
  askHistory,
  enter,
  expectError,
  expectNoMessage,
  keyOf,
  nextMessage,
  quickSigner,
  registerFrame,
  sending
} from './l2ps-peer.ts'
import { expect, expectSame, expectType, fresh, needs, type Rule } from './rule.ts'

const HOUR_MS = 3_600_000

export const L2PS_RULES: readonly Rule[] = [
  {
    section: '1.2',
    title: 'a binary message is refused, and the socket stays open',
    check: async (stage) => {
      const { socket, ask } = await enter(stage, 'peer')
      socket.sendRaw(new TextEncoder().encode('{"type":"discover","payload":{},"timestamp":1}'))
      expectError(await socket.next('INVALID_MESSAGE'), 'INVALID_MESSAGE', 'a binary message')
      expectType(await ask('discover', {}), 'discover_response')
    }
  },
  {
    section: '1.2',
    title: 'a frame of more than 262,144 bytes is refused with its requestId, and the socket stays open',
    check: async (stage) => {
      const peer = await enter(stage, 'peer')
      expectError(await peer.ask('discover', { padding: 'x'.repeat(262_144) }), 'INVALID_MESSAGE', 'a large frame')
      expectType(await peer.ask('discover', {}), 'discover_response')
    }
  },
  {
    section: '4',
    title: 'requests before register get REGISTRATION_REQUIRED',
    check: async (stage) => {
      const socket = await stage.connect('stranger')
      const key = keyOf(await quickSigner())
      const requests = { discover: {}, request_public_key: { targetId: key }, send: sending(key) }
      for (const [type, payload] of Object.entries(requests)) {
        expectError(await ask(socket, type, payload), 'REGISTRATION_REQUIRED', type)
      }
    }
  },
  {
    section: '4.1',
    title: 'answers and errors echo the requestId, and pushed frames have none',
    check: async (stage) => {
      const [alice, bob] = [await enter(stage, 'alice'), await enter(stage, 'bob')]
      expectType(await alice.ask('discover', {}), 'discover_response')
      expectError(await alice.ask('request_public_key', {}), 'INVALID_MESSAGE', 'a missing targetId')
      await alice.ask('send', sending(bob.key))
      expectSame((await nextMessage(bob)).requestId, undefined, 'the requestId of a message')
    }
  },
  {
    section: '4.2',
    title: 'registered echoes the key as it was spelled, and lists the other peers',
    check: async (stage) => {
      const alice = await enter(stage, 'alice')
      const [signer, socket] = [await quickSigner(), await stage.connect('bob')]
      const publicKey = keyOf(signer).toUpperCase()
      socket.send(await registerFrame(signer, stage.target.network, { publicKey }))
      const { payload } = expectType(await socket.next('registered'), 'registered')
      const { success, l2psUid, onlinePeers } = payload
      expectSame(
        [success, payload.publicKey, l2psUid],
        [true, publicKey, stage.target.network],
        'success, publicKey and l2psUid'
      )
      expect(onlinePeers.includes(alice.key), 'expected the other peer in onlinePeers')
      expect(!onlinePeers.includes(publicKey.toLowerCase()), 'expected the caller not to be in onlinePeers')
    }
  },
  {
    section: '4.2',
    title: 'register without a member, or with a key that is none, gets INVALID_MESSAGE',
    check: async (stage) => {
      const socket = await stage.connect('peer')
      const frame = await registerFrame(await quickSigner(), stage.target.network)
      for (const member of ['publicKey', 'l2psUid', 'proof']) {
        const payload = { ...frame.payload, [member]: undefined }
        expectError(await ask(socket, 'register', payload), 'INVALID_MESSAGE', `a missing ${member}`)
      }
      const payload = { ...frame.payload, publicKey: 'zz' }
      expectError(await ask(socket, 'register', payload), 'INVALID_MESSAGE', 'a key that is none')
    }
  },
  {
    section: '4.8',
    title: 'a network that does not exist gets L2PS_NOT_FOUND',
    check: async (stage) => {
      const socket = await stage.connect('peer')
      const { payload, timestamp } = await registerFrame(await quickSigner(), fresh('nowhere'))
      expectError(await ask(socket, 'register', payload, { timestamp }), 'L2PS_NOT_FOUND', 'an unknown network')
    }
  },
  {
    section: '4.10',
    title: 'a proof of another key, or over another time, gets INVALID_PROOF',
    check: async (stage) => {
      const { network } = stage.target
      const socket = await stage.connect('peer')
      const [mine, theirs] = [
        await registerFrame(await quickSigner(), network),
        await registerFrame(await quickSigner(), network)
      ]
      const { timestamp } = mine
      const foreign = { ...mine.payload, proof: theirs.payload.proof }
      expectError(await ask(socket, 'register', foreign, { timestamp }), 'INVALID_PROOF', 'a proof of another key')
      const later = { timestamp: timestamp + 1 }
      expectError(await ask(socket, 'register', mine.payload, later), 'INVALID_PROOF', 'a proof over another time')
    }
  },
  {
    section: '4.10',
    title: 'a proof that is an hour old, or an hour ahead, gets INVALID_PROOF',
    check: async (stage) => {
      const socket = await stage.connect('peer')
      for (const offset of [-HOUR_MS, HOUR_MS]) {
        const timestamp = Date.now() + offset
        const { payload } = await registerFrame(await quickSigner(), stage.target.network, { timestamp })
        expectError(await ask(socket, 'register', payload, { timestamp }), 'INVALID_PROOF', `${offset} ms`)
      }
    }
  },
  {
    section: '4.10',
    title: 'a register proof that another socket has shown gets INVALID_PROOF',
    check: async (stage) => {
      const { payload, timestamp } = await registerFrame(await quickSigner(), stage.target.network)
      const [first, second] = [await stage.connect('first'), await stage.connect('second')]
      expectType(await ask(first, 'register', payload, { timestamp }), 'registered')
      expectError(await ask(second, 'register', payload, { timestamp }), 'INVALID_PROOF', 'a used proof')
    }
  },
  {
    section: '5.4',
    title: 'two registers on one socket with the same proof are both answered',
    check: async (stage) => {
      const { payload, timestamp } = await registerFrame(await quickSigner(), stage.target.network)
      const socket = await stage.connect('peer')
      for (let n = 0; n < 2; n++) expectType(await ask(socket, 'register', payload, { timestamp }), 'registered')
    }
  },
  {
    section: '1.9',
    title: 'register of another key on the same socket gets INVALID_MESSAGE',
    check: async (stage) => {
      const peer = await enter(stage, 'peer')
      const { payload, timestamp } = await registerFrame(await quickSigner(), stage.target.network)
      expectError(await ask(peer.socket, 'register', payload, { timestamp }), 'INVALID_MESSAGE', 'another key')
    }
  },
  {
    section: '4.5',
    title: 'discover lists the peers of the network, the caller too, in the order of their keys',
    check: async (stage) => {
      const [alice, bob] = [await enter(stage, 'alice'), await enter(stage, 'bob')]
      const { peers } = expectType(await alice.ask('discover', {}), 'discover_response').payload
      expect(peers.includes(alice.key) && peers.includes(bob.key), 'expected both peers in the list')
      expectSame(peers, [...peers].sort(), 'the list')
    }
  },
  {
    section: '4.5',
    title: 'discover takes prefix and after',
    check: async (stage) => {
      const [alice, bob] = [await enter(stage, 'alice'), await enter(stage, 'bob')]
      const pageOf = async (payload: object) =>
        expectType(await alice.ask('discover', payload), 'discover_response').payload.peers
      const first = await pageOf({ prefix: alice.key })
      needs(!first.includes(bob.key), 'prefix is ignored')
      expectSame(first, [alice.key], 'the peers with this prefix')
      expectSame(await pageOf({ prefix: alice.key, after: alice.key }), [], 'the peers after the last')
    }
  },
  {
    section: '4.5',
    title: 'request_public_key gives a known key, also of a peer that is away, and null for an unknown one',
    check: async (stage) => {
      const [alice, bob] = [await enter(stage, 'alice'), await enter(stage, 'bob')]
      await bob.socket.close()
      for (const [targetId, publicKey] of [
        [bob.key, bob.key],
        [keyOf(await quickSigner()), null],
        ['nobody', null]
      ]) {
        const { payload } = expectType(await alice.ask('request_public_key', { targetId }), 'public_key_response')
        expectSame([payload.targetId, payload.publicKey], [targetId, publicKey], 'targetId and publicKey')
      }
    }
  },
  {
    section: '4.6',
    title: 'peer_joined and peer_left are told for the first and the last socket of a key',
    check: async (stage) => {
      const [alice, signer] = [await enter(stage, 'alice'), await quickSigner()]
      const tells = (word: string) =>
        alice.socket.take(word, ({ type, payload }) => type === word && payload.publicKey === keyOf(signer))
      const first = await enter(stage, 'bob', { signer })
      await tells('peer_joined')
      const second = await enter(stage, 'bob, second socket', { signer })
      await first.socket.close()
      await alice.ask('discover', {})
      const early = alice.socket.untaken.find(({ type }) => type === 'peer_left')
      expect(early === undefined, 'expected no peer_left while a socket of the key is open')
      await second.socket.close()
      await tells('peer_left')
    }
  },
  {
    section: '4.6',
    title: 'what is no JSON object with type and payload, and an unknown type, get INVALID_MESSAGE',
    check: async (stage) => {
      const { socket } = await enter(stage, 'peer')
      const texts = ['{"type":', '[]', '{"payload":{}}', '{"type":"discover","timestamp":1}']
      for (const text of [...texts, '{"type":"dance","payload":{},"timestamp":1}']) {
        socket.sendRaw(text)
        const answer = await socket.take('INVALID_MESSAGE', ({ type }) => !type.startsWith('peer_'))
        expectError(answer, 'INVALID_MESSAGE', text)
      }
    }
  },
  {
    section: '4.9',
    title: 'a key is one peer whatever its letter case, and 0x is refused',
    check: async (stage) => {
      const [alice, bob] = [await enter(stage, 'alice'), await enter(stage, 'bob')]
      expectType(await alice.ask('send', sending(bob.key.toUpperCase())), 'message_sent')
      expectSame((await nextMessage(bob)).payload.from, alice.key, 'from')
      expectError(await alice.ask('send', sending(`0x${bob.key}`)), 'INVALID_MESSAGE', '0x')
    }
  },
  {
    section: '4',
    title: 'nothing crosses from one network to another: no message, no presence, no key, no history',
    check: async (stage) => {
      const { otherNetwork: network } = stage.target
      needs(network !== undefined, 'needs a second network: --other-network')
      const signer = await quickSigner()
      const alice = await enter(stage, 'alice')
      const elsewhere = await enter(stage, 'bob elsewhere', { network, signer })
      const { peers } = expectType(await alice.ask('discover', {}), 'discover_response').payload
      expect(!peers.includes(elsewhere.key), 'expected no peer of the other network in discover')
      const { payload } = await alice.ask('request_public_key', { targetId: elsewhere.key })
      expectSame(payload.publicKey, null, 'the key of a peer of the other network')
      expectType(await alice.ask('send', sending(elsewhere.key)), 'message_queued')
      await expectNoMessage(elsewhere, 'a message of the other network')
      expectSame((await askHistory(elsewhere, alice.key)).payload.messages, [], 'history in the other network')
    }
  }
]
