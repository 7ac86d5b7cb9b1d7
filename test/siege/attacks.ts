// What attackers send: each event type as fast as its socket takes it, sockets that do something else, and mixes.
import { historyFrame, keyOf, sendFrame } from '../helpers/l2ps-peer.ts'
import { registerFrame } from '../helpers/peer.ts'
import {
  type Attack,
  type Attacker,
  clientFrame,
  identityOf,
  json,
  l2psJson,
  registrationOf,
  repeated,
  several,
  strangerKey
} from './attack.ts'

/** The name that attackers claim although it is another's. */
export const OWNED_NAME = 'siege-owned'
/** Frames that are made anew for each write. */
const FRESH = 16
/** Messages in a history that is asked for. */
export const PAST = 40
const MANY_ADDRESSES = 64
const PART_OF_A_MIX = 32

const few = { sockets: 8, addresses: 1, protocol: 'signaling', registers: false, reads: true } as const
const many = { ...few, sockets: 200 } as const
const member = { ...few, registers: true } as const
const l2psMember = { ...member, protocol: 'l2ps' } as const
const tcp = { ...few, protocol: 'tcp' } as const

const fromMany = (attack: Attack): Attack => ({
  ...attack,
  ...{ sockets: Math.max(2 * MANY_ADDRESSES, attack.sockets), addresses: MANY_ADDRESSES }
})
const again = (frame: object) => () => repeated(json(frame))
const l2psAgain = (frame: object) => () => repeated(l2psJson(frame))
const request = (path: string) => () => repeated(Buffer.from(`GET ${path} HTTP/1.1\r\nHost: relay\r\n\r\n`))

/** The key of nobody to which this socket has written. */
const pastOf = ({ identity }: Attacker) => `${keyOf(identity).slice(0, 32)}${'0'.repeat(32)}`
const history = {
  ...l2psMember,
  first: (self) => several(PAST, () => l2psJson(sendFrame(pastOf(self), 'A'.repeat(50_000)))),
  bytes: (self) => several(FRESH, async () => l2psJson(await historyFrame(self.identity, pastOf(self)))),
  isFresh: true,
  meets: 'history_response'
} satisfies Attack
const discover = { ...member, bytes: again({ type: 'discover', payload: {} }), meets: 'discover' } satisfies Attack
const l2psDiscover = { ...l2psMember, bytes: l2psAgain({ type: 'discover', payload: {} }), meets: 'discover_response' }
const toNobody = {
  ...member,
  bytes: again({ type: 'message', payload: { targetId: 'nobody', message: 'x'.repeat(1_000) } }),
  meets: 'message_queued'
} satisfies Attack
const toStrangers = {
  ...l2psMember,
  bytes: () => several(FRESH, () => l2psJson(sendFrame(strangerKey(), 'A'.repeat(1_000)))),
  isFresh: true,
  meets: 'message_queued'
} satisfies Attack
const pongs = { ...few, bytes: () => repeated(clientFrame(Buffer.alloc(0), 'pong')) } satisfies Attack
const oneByte = { ...many, bytes: () => repeated(clientFrame(Buffer.from('1'))), meets: 'INVALID_MESSAGE' }
const silent = { ...tcp, sockets: 4_500, bytes: () => Buffer.alloc(0), once: true } satisfies Attack
const comeAndGo = { ...tcp, sockets: 64, bytes: () => Buffer.alloc(0), leaves: true } satisfies Attack
const registrations = { ...member, sockets: 32, bytes: () => Buffer.alloc(0), leaves: true } satisfies Attack

const SOCKETS = {
  'pongs without a ping': pongs,
  pings: { ...few, bytes: () => repeated(clientFrame(Buffer.from('x'), 'ping')) },
  'frames of one byte': oneByte,
  'deep JSON': {
    ...member,
    bytes: () => clientFrame(Buffer.from(`${'['.repeat(100_000)}${']'.repeat(100_000)}`)),
    meets: 'INVALID_MESSAGE'
  },
  'messages that never end': {
    ...{ ...few, sockets: 400, addresses: 4, once: true },
    bytes: () => clientFrame(Buffer.alloc(900_000, 'x'), 'text', false)
  },
  'silent connections': silent,
  'connections that come and go': comeAndGo,
  'half a request': { ...tcp, sockets: 1_000, once: true, bytes: () => Buffer.from('GET / HTTP/1.1\r\nHost: rel') },
  'no HTTP': { ...tcp, bytes: () => Buffer.alloc(16_384, 'x\r\n') },
  'requests for the metrics': { ...tcp, bytes: request('/metrics') },
  'requests for the health': { ...tcp, bytes: request('/health/ready') },
  'requests for documents': { ...tcp, bytes: request('/docs/openapi.json') },
  'requests that nobody reads': { ...tcp, sockets: 100, reads: false, bytes: request('/docs/openapi.json') },
  'requests by a thousand connections': { ...tcp, sockets: 1_000, bytes: request('/health/live') },
  'requests of strangers to administrators': { ...tcp, bytes: request('/admin/stats') }
} satisfies Record<string, Attack>

const SIGNALING = {
  'register without a proof': {
    ...many,
    bytes: again({ type: 'register', payload: { clientId: 'x', publicKey: [1, 2, 3] } }),
    meets: 'INVALID_MESSAGE'
  },
  'claims of a name of another': {
    ...{ ...few, sockets: 16, meets: 'CLIENT_ID_TAKEN' },
    bytes: async ({ identity }) => repeated(json(await registerFrame(OWNED_NAME, identity)))
  },
  'false proofs': {
    ...{ ...few, sockets: 16, meets: 'INVALID_PROOF' },
    bytes: async ({ n, identity }) => {
      const frame = await registerFrame(`siege-false-${n}`, identity)
      frame.payload.verification.serializedSignedData = (
        await registerFrame('other', await identityOf(n + 1))
      ).payload.verification.serializedSignedData
      return repeated(json(frame))
    }
  },
  'registrations that come and go': registrations,
  challenge: {
    ...many,
    bytes: ({ origin }) => repeated(json({ type: 'challenge', payload: { origin } })),
    meets: 'challenge'
  },
  discover,
  'discover unread': { ...discover, sockets: 100, reads: false },
  'messages to nobody': toNobody,
  'messages to itself': {
    ...{ ...member, meets: 'message' },
    bytes: ({ id }) => repeated(json({ type: 'message', payload: { targetId: id, message: 'x'.repeat(1_000) } }))
  },
  request_public_key: {
    ...{ ...member, meets: 'public_key_response' },
    bytes: again({ type: 'request_public_key', payload: { targetId: OWNED_NAME } })
  },
  'request_public_key of strangers': {
    ...{ ...member, isFresh: true, meets: 'PEER_NOT_FOUND' },
    bytes: () =>
      several(FRESH, () => json({ type: 'request_public_key', payload: { targetId: `siege-${strangerKey()}` } }))
  },
  debug_question: { ...member, bytes: again({ type: 'debug_question', payload: {} }), meets: 'server_question' },
  peer_response: { ...member, bytes: again({ type: 'peer_response', payload: { questionId: 'q', response: 'r' } }) },
  ack: { ...member, bytes: again({ type: 'ack', payload: { seq: 1 } }) }
} satisfies Record<string, Attack>

const L2PS = {
  'L2PS false proofs': {
    ...{ ...l2psMember, registers: false, sockets: 16, meets: 'INVALID_PROOF' },
    bytes: async (self) => {
      const { payload, ...rest } = (await registrationOf(l2psMember as Attack, self)) as { payload: object }
      return repeated(l2psJson({ ...rest, payload: { ...payload, proof: '00'.repeat(64) } }))
    }
  },
  'L2PS registrations that come and go': { ...registrations, protocol: 'l2ps' },
  'L2PS discover': l2psDiscover,
  'L2PS send to strangers': toStrangers,
  'L2PS send to a neighbour': {
    ...{ ...l2psMember, isFresh: true },
    bytes: async ({ n }) => {
      const neighbour = keyOf(await identityOf(n ^ 1))
      return several(FRESH, () => l2psJson(sendFrame(neighbour, 'A'.repeat(1_000))))
    }
  },
  'L2PS history': history,
  'L2PS history unread': { ...history, sockets: 32, reads: false },
  'L2PS history with one proof': { ...history, isFresh: false },
  'L2PS request_public_key': {
    ...{ ...l2psMember, isFresh: true, meets: 'public_key_response' },
    bytes: () => several(FRESH, () => l2psJson({ type: 'request_public_key', payload: { targetId: strangerKey() } }))
  },
  'L2PS ack': { ...l2psMember, bytes: l2psAgain({ type: 'ack', payload: { seq: 1 } }) }
} satisfies Record<string, Attack>

/** Those that cost the most, from {@link MANY_ADDRESSES} addresses. */
const FROM_MANY = {
  'pongs from 64 addresses': fromMany(pongs),
  'frames of one byte from 64 addresses': fromMany({ ...oneByte, sockets: 512 }),
  'silent connections from 64 addresses': fromMany({ ...silent, sockets: 8_000 }),
  'connections that come and go from 64 addresses': fromMany(comeAndGo),
  'registrations that come and go from 64 addresses': fromMany(registrations),
  'requests for the metrics from 64 addresses': fromMany(SOCKETS['requests for the metrics']),
  'discover from 64 addresses': fromMany(discover),
  'messages to nobody from 64 addresses': fromMany(toNobody),
  'L2PS send to strangers from 64 addresses': fromMany(toStrangers),
  'L2PS history from 64 addresses': fromMany(history)
} satisfies Record<string, Attack>

const ATTACKS: Readonly<Record<string, Attack>> = { ...SOCKETS, ...SIGNALING, ...L2PS, ...FROM_MANY }

const mixOf = (attacks: Readonly<Record<string, Attack>>) =>
  Object.values(attacks).map((attack) => ({ ...attack, sockets: Math.min(attack.sockets, PART_OF_A_MIX) }))
const everything = mixOf({ ...SOCKETS, ...SIGNALING, ...L2PS })

/** By name; a mix is several at once. */
export const SIEGE: Readonly<Record<string, readonly Attack[]>> = {
  ...Object.fromEntries(Object.entries(ATTACKS).map(([name, attack]) => [name, [attack]])),
  'all of signaling': mixOf(SIGNALING),
  'all of L2PS': mixOf(L2PS),
  everything,
  'everything from 64 addresses': everything.map((attack) => ({ ...attack, addresses: MANY_ADDRESSES }))
}
