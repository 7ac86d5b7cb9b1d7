// The rules of signaling on requests and their answers: docs/protocol.md, 1 and 2.
import type { Connection } from './connection.ts'
import { expect, expectSame, expectType, fresh, needs, type Rule } from './rule.ts'
import {
  challengedFrame,
  expectError,
  expectNothingMore,
  join,
  officialKeys,
  quickKeys,
  registerFrame
} from './signaling-peer.ts'

const REQUESTS: readonly (readonly [string, object])[] = [
  ['discover', {}],
  ['message', { targetId: 'somebody', message: 'sealed' }],
  ['request_public_key', { targetId: 'somebody' }]
]

/** A registration that must be refused, on a socket that can register afterwards. */
async function refuses(socket: Connection, errorType: string, what: string, changes: object): Promise<void> {
  const frame = await registerFrame(fresh('refused'), await quickKeys(), changes)
  socket.send(frame)
  await expectError(socket, errorType, what)
}

export const SIGNALING_RULES: readonly Rule[] = [
  {
    section: '1.1',
    title: 'a plain GET of the path of the socket is answered with 426',
    check: async ({ target }) => {
      const url = target.url.replace(/^ws/, 'http')
      const { status } = await fetch(url, { signal: AbortSignal.timeout(target.waitMs) })
      expectSame(status, 426, 'the status of GET')
    }
  },
  {
    section: '1.2',
    title: 'a binary message is refused, and the socket stays open',
    check: async (stage) => {
      const peer = await join(stage, 'peer')
      peer.socket.sendRaw(new TextEncoder().encode('{"type":"discover","payload":{}}'))
      await expectError(peer.socket, 'INVALID_MESSAGE', 'a binary message')
      await expectNothingMore(peer, 'it')
    }
  },
  {
    section: '1.2',
    title: 'a frame of more than 262,144 bytes is refused, and the socket stays open',
    check: async (stage) => {
      const peer = await join(stage, 'peer')
      peer.send('message', { targetId: peer.id, message: 'x'.repeat(262_144) })
      await expectError(peer.socket, 'INVALID_MESSAGE', 'a frame that is too large')
      await expectNothingMore(peer, 'it')
    }
  },
  {
    section: '1.2',
    title: 'a frame of more than 1 MiB closes the socket with 1009',
    check: async (stage) => {
      const { socket } = await join(stage, 'peer')
      socket.sendRaw(' '.repeat(1_048_577))
      expectSame(await socket.closes('close code 1009'), 1009, 'the close code')
    }
  },
  {
    section: '1.2',
    title: 'members that the protocol does not name are ignored',
    check: async (stage) => {
      const { socket } = await join(stage, 'peer')
      socket.send({ type: 'discover', payload: { colour: 'green' }, extra: [1] })
      expectType(await socket.next('the answer to discover'), 'discover')
    }
  },
  {
    section: '1.4',
    title: 'requests that are sent without waiting are answered in their order',
    check: async (stage) => {
      const peer = await join(stage, 'peer')
      for (let n = 0; n < 10; n++) {
        peer.send('request_public_key', { targetId: peer.id })
        peer.send('discover', {})
      }
      for (let n = 0; n < 10; n++) {
        expectType(await peer.socket.next('public_key_response'), 'public_key_response')
        expectType(await peer.socket.next('discover'), 'discover')
      }
    }
  },
  {
    section: '1.9',
    title: 'register for another id on the same socket is refused, and the first registration stays',
    check: async (stage) => {
      const peer = await join(stage, 'peer')
      peer.socket.send(await registerFrame(fresh('other'), peer.keys))
      await expectError(peer.socket, 'INVALID_MESSAGE', 'another id')
      const peers = await expectNothingMore(peer, 'it')
      expect(peers.includes(peer.id), 'expected the first id to be listed still')
    }
  },
  {
    section: '1.9',
    title: 'register for the same id on the same socket is answered again',
    check: async (stage) => {
      const peer = await join(stage, 'peer')
      peer.socket.send(await registerFrame(peer.id, peer.keys))
      const { payload } = expectType(await peer.socket.next('register'), 'register')
      expectSame(payload.success, true, 'success')
    }
  },
  {
    section: '2',
    title: 'requests before register get REGISTRATION_REQUIRED',
    check: async (stage) => {
      const socket = await stage.connect('stranger')
      for (const [type, payload] of REQUESTS) {
        socket.send({ type, payload })
        await expectError(socket, 'REGISTRATION_REQUIRED', type)
      }
    }
  },
  {
    section: '2.1',
    title: 'a peer registers with an ed25519 proof, and the reply is the first frame',
    check: async (stage) => void (await join(stage, 'peer'))
  },
  {
    section: '2.1',
    title: 'a peer registers with an ML-DSA-65 proof, as the official client does',
    check: async (stage) => void (await join(stage, 'peer', { keys: await officialKeys() }))
  },
  {
    section: '2.1',
    title: 'register without clientId, publicKey or verification gets INVALID_MESSAGE',
    check: async (stage) => {
      const socket = await stage.connect('peer')
      for (const member of ['clientId', 'publicKey', 'verification']) {
        await refuses(socket, 'INVALID_MESSAGE', `a missing ${member}`, { [member]: undefined })
      }
    }
  },
  {
    section: '2.1',
    title: 'a publicKey that is no list of byte values gets INVALID_PUBLIC_KEY',
    check: async (stage) => {
      const socket = await stage.connect('peer')
      for (const publicKey of [[256], [1.5], []]) {
        await refuses(socket, 'INVALID_PUBLIC_KEY', JSON.stringify(publicKey), { publicKey })
      }
    }
  },
  {
    section: '2.1',
    title: 'a proof of another key, or over another message, gets INVALID_PROOF',
    check: async (stage) => {
      const socket = await stage.connect('peer')
      const [keys, other] = [await quickKeys(), await quickKeys()]
      const [mine, theirs] = [await keys.proofOf(keys.publicKey), await other.proofOf(keys.publicKey)]
      const foreign = { ...mine, serializedSignedData: theirs.serializedSignedData }
      await refuses(socket, 'INVALID_PROOF', 'a signature of another key', {
        publicKey: [...keys.publicKey],
        verification: foreign
      })
      await refuses(socket, 'INVALID_PROOF', 'a proof over another message', { verification: mine })
    }
  },
  {
    section: '2.2',
    title: 'discover lists the connected peers, the caller too, in the order of their names',
    check: async (stage) => {
      const [bob, alice] = [await join(stage, 'bob'), await join(stage, 'alice')]
      const peers = await expectNothingMore(alice, 'nothing')
      expect(peers.includes(alice.id) && peers.includes(bob.id), 'expected both peers in the list')
      expectSame(peers, [...peers].sort(), 'the list')
    }
  },
  {
    section: '2.2',
    title: 'discover takes prefix and after',
    check: async (stage) => {
      const prefix = fresh('page')
      const [a, b] = [`${prefix}-a`, `${prefix}-b`]
      const peer = await join(stage, 'a', { id: a })
      await join(stage, 'b', { id: b })
      await join(stage, 'other')
      peer.send('discover', { prefix })
      const { payload } = expectType(await peer.socket.next('discover'), 'discover')
      needs(payload.peers.length < 3, 'prefix is ignored')
      expectSame(payload.peers, [a, b], 'the peers with this prefix')
      peer.send('discover', { prefix, after: a })
      expectSame((await peer.socket.next('discover')).payload.peers, [b], 'the peers after the first')
    }
  },
  {
    section: '2.4',
    title: 'request_public_key gives the registered key, also of a peer that is away',
    check: async (stage) => {
      const [alice, bob] = [await join(stage, 'alice'), await join(stage, 'bob')]
      const keyOfBob = async (when: string) => {
        alice.send('request_public_key', { targetId: bob.id })
        const { payload } = expectType(await alice.socket.next('the key'), 'public_key_response')
        expectSame([payload.peerId, payload.publicKey], [bob.id, [...bob.keys.publicKey]], `the key ${when}`)
      }
      await keyOfBob('while bob is connected')
      await bob.socket.close()
      await keyOfBob('while bob is away')
    }
  },
  {
    section: '2.4',
    title: 'the key of an id that nobody registered gets PEER_NOT_FOUND, a missing targetId INVALID_MESSAGE',
    check: async (stage) => {
      const peer = await join(stage, 'peer')
      peer.send('request_public_key', { targetId: fresh('nobody') })
      await expectError(peer.socket, 'PEER_NOT_FOUND', 'an unknown id')
      peer.send('request_public_key', {})
      await expectError(peer.socket, 'INVALID_MESSAGE', 'a missing targetId')
    }
  },
  {
    section: '2.5',
    title: 'peer_disconnected is told when the last socket of a peer closes',
    check: async (stage) => {
      const [alice, bob] = [await join(stage, 'alice'), await join(stage, 'bob')]
      await bob.socket.close()
      await alice.socket.take(
        `peer_disconnected of ${bob.id}`,
        ({ type, payload }) => type === 'peer_disconnected' && payload.peerId === bob.id
      )
    }
  },
  {
    section: '2.5',
    title: 'debug_question makes the server ask, and peer_response is taken silently',
    check: async (stage) => {
      const peer = await join(stage, 'peer')
      peer.send('debug_question', {})
      const { payload } = expectType(await peer.socket.next('server_question'), 'server_question')
      peer.send('peer_response', { questionId: payload.questionId, response: 'yes' })
      await expectNothingMore(peer, 'peer_response')
    }
  },
  {
    section: '2.5',
    title: 'what is no JSON object with type and payload, and an unknown type, get INVALID_MESSAGE',
    check: async (stage) => {
      const { socket } = await join(stage, 'peer')
      for (const text of ['{"type":', '[]', '{"payload":{}}', '{"type":"discover"}', '{"type":"dance","payload":{}}']) {
        socket.sendRaw(text)
        await expectError(socket, 'INVALID_MESSAGE', text)
      }
    }
  },
  {
    section: '2.8',
    title: 'an id belongs to the signing key that registered it first, also while its owner is away',
    check: async (stage) => {
      const owner = await join(stage, 'owner')
      const thief = await stage.connect('thief')
      const frame = await registerFrame(owner.id, await quickKeys())
      thief.send(frame)
      await expectError(thief, 'CLIENT_ID_TAKEN', 'another key, the owner connected')
      await owner.socket.close()
      thief.send(frame)
      await expectError(thief, 'CLIENT_ID_TAKEN', 'another key, the owner away')
    }
  },
  {
    section: '2.8',
    title: "the owner's second socket gets CLIENT_ID_TAKEN while the first one lives",
    check: async (stage) => {
      const owner = await join(stage, 'owner')
      const second = await stage.connect('second')
      second.send(await registerFrame(owner.id, owner.keys))
      await expectError(second, 'CLIENT_ID_TAKEN', 'a second socket')
      await expectNothingMore(owner, 'it')
    }
  },
  {
    section: '2.9',
    title: 'an id that was registered with a challenge is registered with one only, each good for one answer',
    check: async (stage) => {
      const [id, keys] = [fresh('owner'), await quickKeys()]
      const socket = await stage.connect('owner')
      const { origin } = new URL(stage.target.url)
      const ask = async (asking: Connection) => {
        asking.send({ type: 'challenge', payload: { origin } })
        const frame = await asking.next('the challenge')
        needs(frame.type === 'challenge', `no challenge is given at ${origin}`)
        return challengedFrame(id, keys, { origin, ...frame.payload })
      }
      const answer = await ask(socket)
      socket.send(answer)
      expectType(await socket.next('register'), 'register')
      await socket.close()
      const thief = await stage.connect('thief')
      thief.send(answer)
      await expectError(thief, 'CHALLENGE_EXPIRED', 'a recorded answer without a challenge')
      await ask(thief)
      thief.send(answer)
      await expectError(thief, 'INVALID_PROOF', 'a recorded answer to another challenge')
      thief.send(await registerFrame(id, keys))
      await expectError(thief, 'CHALLENGE_REQUIRED', 'a proof without a challenge')
      thief.send(await ask(thief))
      expectType(await thief.next('register'), 'register')
    }
  }
]
