// Frames of both protocols: right ones, nearly right ones, and rubbish.
import type { Identity } from '../../client/src/identity.ts'
import { historyFrame, keyOf, registerFrame as l2psRegisterFrame } from '../helpers/l2ps-peer.ts'
import { registerFrame } from '../helpers/peer.ts'
import { DOCS } from './expectation.ts'
import type { Random } from './random.ts'
import type { ProtocolName } from './socket.ts'
import { anything, type JsonSchema, madeFor, mangle, mutate, type Pools, textOf } from './values.ts'

/** Who the frames of a socket are from, and whom they may name. */
export interface Cast {
  readonly protocol: ProtocolName
  readonly identity: Identity
  /** The client id; in L2PS the network. */
  readonly name: string
  /** Ids or keys of others, some of whom are connected. */
  readonly others: readonly string[]
}

/** How often each type is sent, out of all of them together. */
const WEIGHTS: Readonly<Record<ProtocolName, Readonly<Record<string, number>>>> = {
  signaling: {
    ...{ message: 40, discover: 10, request_public_key: 15, register: 6, challenge: 6 },
    ...{ debug_question: 6, peer_response: 6, ack: 6 }
  },
  l2ps: { send: 40, discover: 10, request_public_key: 15, history: 12, register: 6, ack: 8 }
}

/** Every type that the documents have, each as often as it weighs; a new one once. */
const TYPES = new Map(
  [...DOCS].map(([protocol, { clientFrames }]) => [
    protocol,
    clientFrames.flatMap(({ frame }) => Array<typeof frame>(WEIGHTS[protocol][frame.type] ?? 1).fill(frame))
  ])
)

/** The next thing to send; text as UTF-8 carries it, without halves of surrogate pairs. */
export async function nextFrame(random: Random, cast: Cast): Promise<string | Uint8Array> {
  const frame = await anyFrame(random, cast)
  return typeof frame === 'string' ? frame.toWellFormed() : frame
}

async function anyFrame(random: Random, cast: Cast): Promise<string | Uint8Array> {
  const kind = random.below(100)
  if (kind === 0) return random.bytes(random.below(40))
  if (kind < 5) return random.oneIn(2) ? textOf(random, random.below(40)) : JSON.stringify(anything(random))
  const frame = await rightFrame(random, cast)
  if (kind < 35) {
    // A copy, as some of it is used again.
    const changed = structuredClone(frame)
    for (let changes = 1 + random.below(2); changes > 0; changes -= 1) mutate(random, changed)
    return JSON.stringify(changed)
  }
  const text = JSON.stringify(frame)
  return kind < 45 ? mangle(random, text) : text
}

async function rightFrame(random: Random, cast: Cast): Promise<object> {
  const { protocol, identity, name, others } = cast
  const { type, payload } = random.pick(TYPES.get(protocol)!)
  const isSignaling = protocol === 'signaling'
  if (type === 'register' && isSignaling) return registerFrame(name, identity, featuresOf(random))
  const more = isSignaling ? {} : { requestId: `req-${random.hex(8)}` }
  if (type === 'register') return { ...(await l2psRegisterFrame(identity, name)), ...more }
  if (type === 'history') return { ...(await historyFrame(identity, random.pick(others), pageOf(random))), ...more }
  const value = madeFor(payload as JsonSchema, random, isSignaling ? signalingPools(cast) : l2psPools(cast))
  return isSignaling ? { type, payload: value } : { type, payload: value, timestamp: Date.now(), ...more }
}

const featuresOf = (random: Random) =>
  random.oneIn(3) ? { features: random.pick([[], ['challenge'], ['x', 'challenge'], ['something else']]) } : {}

const pageOf = (random: Random) => ({
  ...(random.oneIn(2) ? { limit: 1 + random.below(200) } : {}),
  ...(random.oneIn(3) ? { before: Date.now() - random.below(1_000) } : {})
})

function signalingPools({ name, others }: Cast): Pools {
  return {
    targetId: (random) => (random.oneIn(8) ? random.pick([name, `absent-${random.below(50)}`]) : random.pick(others)),
    message: sealed,
    origin: (random) => random.pick(['ws://fuzz.example', 'wss://fuzz.example', 'ws://localhost:3005', '', 'fuzz']),
    after: (random) => random.pick(others)
  }
}

function l2psPools({ identity, others }: Cast): Pools {
  const key = (random: Random) => random.pick([...others, keyOf(identity), random.hex(64)])
  return {
    ...{ to: key, targetId: key },
    messageHash: (random) => (random.oneIn(4) ? `hash-${random.below(20)}` : random.hex(32)),
    encrypted: (random) => ({ ciphertext: random.hex(4 * (1 + sizeOf(random))), nonce: random.hex(16) }),
    after: (random) => key(random).slice(0, 1 + random.below(64)),
    prefix: (random) => random.pick([random.hex(1), 'ml-dsa:', 'falcon:'])
  }
}

/** Mostly small, now and then as large as it may be and a bit larger. */
function sizeOf(random: Random): number {
  return random.oneIn(1_000) ? 30_000 + random.below(3_000) : random.below(20)
}

function sealed(random: Random): unknown {
  if (random.oneIn(3)) return anything(random)
  if (random.oneIn(2_000)) return Array(random.pick([9_990, 10_100])).fill(0)
  const text = () => random.hex(4 * sizeOf(random))
  return { algorithm: 'ml-kem-aes', serializedEncryptedData: text(), serializedCipherText: text() }
}
