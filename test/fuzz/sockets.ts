// Peers of the fuzzer: they connect, say what is wrong before they have registered, register rightly, and go on.
import { createIdentity, type Identity } from '../../client/src/identity.ts'
import { challengedFrame } from '../helpers/challenge.ts'
import { keyOf, registerFrame as l2psRegisterFrame } from '../helpers/l2ps-peer.ts'
import { quickIdentity, registerFrame } from '../helpers/peer.ts'
import { type Cast, nextFrame } from './frames.ts'
import type { Random } from './random.ts'
import { FUZZ_ORIGIN, FuzzSocket, isBusy, type ProtocolName } from './socket.ts'

export const FUZZ_NETWORK = 'fuzz'

/** Longest frame before registration; a longer one closes the socket. */
const MAX_EARLY_LENGTH = 10_000
const MAX_SESSION_FRAMES = 400
/** A worker has so many ids, and is connected with one of them. */
const IDS = 4
/** Fewer than the failed registrations that close a socket. */
const REGISTRATION_TRIES = 10
/** How the server may end a socket of the fuzzer: see the requests of http.ts, and docs/protocol.md, 8. */
const DISMISSED = 4004

export interface Field {
  readonly urls: Readonly<Record<ProtocolName, string>>
  readonly fail: (problem: string) => void
  /** Takes some of the frames that are left to send; 0: no more are. */
  take(wanted: number): number
}

interface Fuzzer {
  readonly ids: readonly { readonly name: string; readonly identity: Identity }[]
}

/** Ids for `count` workers of a protocol. Of each four, one signs with ML-DSA in signaling, and two use challenges. */
export async function makeFuzzers(protocol: ProtocolName, count: number): Promise<Fuzzer[]> {
  const make = async (worker: number) => {
    const ids = Array.from({ length: IDS }, async (_, at) => {
      const quick = await quickIdentity()
      const isSlow = protocol === 'signaling' && at === 0
      const identity = isSlow ? { ...quick, ...(await createIdentity()), publicKey: quick.publicKey } : quick
      // Signed once: ML-DSA in JavaScript takes ten times as long as all else.
      const signed = identity.proofOf(identity.publicKey)
      const proofOf = () => signed
      return {
        name: protocol === 'signaling' ? `fuzz-${worker}-${at}` : FUZZ_NETWORK,
        identity: { ...identity, proofOf }
      }
    })
    return { ids: await Promise.all(ids) }
  }
  return Promise.all(Array.from({ length: count }, (_, worker) => make(worker)))
}

/** What others call them. */
export const namesOf = (protocol: ProtocolName, fuzzers: readonly Fuzzer[]): string[] =>
  fuzzers.flatMap(({ ids }) => ids.map(({ name, identity }) => (protocol === 'signaling' ? name : keyOf(identity))))

/** One session after the other, until no frames are left. */
export async function fuzzSockets(
  field: Field,
  protocol: ProtocolName,
  random: Random,
  { ids }: Fuzzer,
  others: readonly string[]
): Promise<void> {
  for (let left = field.take(MAX_SESSION_FRAMES); left > 0; left = field.take(MAX_SESSION_FRAMES)) {
    const id = random.pick(ids)
    await session(field, random, { protocol, ...id, others }, left)
  }
}

async function session(field: Field, random: Random, cast: Cast, frames: number): Promise<void> {
  const address = `127.${random.below(256)}.${random.below(256)}.${1 + random.below(254)}`
  const socket = await FuzzSocket.open(field.urls[cast.protocol], address, cast.protocol, field.fail)
  const early = random.below(4)
  for (let n = 0; n < early; n++) {
    const frame = await nextFrame(random, cast)
    if (frame.length <= MAX_EARLY_LENGTH) socket.send(frame)
  }
  await socket.settled()
  const isIn = await register(socket, cast)
  socket.isRegistered = isIn
  for (let n = early; n < frames && socket.code === undefined; n++) {
    socket.send(await nextFrame(random, cast))
    await socket.hasRoom()
  }
  await socket.settled()
  if (socket.code !== undefined && socket.code !== DISMISSED) field.fail(`${cast.protocol}: closed with ${socket.code}`)
  if (random.oneIn(3)) socket.terminate()
  else socket.close()
}

/** False: an early frame had registered it already. */
async function register(socket: FuzzSocket, { protocol, name, identity }: Cast): Promise<boolean> {
  for (let tries = 1; ; tries++) {
    const reply = await socket.ask(
      protocol === 'l2ps'
        ? { ...(await l2psRegisterFrame(identity, name)), requestId: 'register' }
        : await signalingRegister(socket, name, identity)
    )
    if (reply === undefined || !isBusy(reply) || tries === REGISTRATION_TRIES) {
      return reply?.type === 'register' || reply?.type === 'registered'
    }
  }
}

async function signalingRegister(socket: FuzzSocket, name: string, identity: Identity): Promise<object> {
  const usesChallenge = /[23]$/.test(name)
  if (!usesChallenge) return registerFrame(name, identity)
  const given = await socket.ask({ type: 'challenge', payload: { origin: FUZZ_ORIGIN } })
  const { nonce, time } = given?.payload ?? {}
  return challengedFrame(name, identity, { origin: FUZZ_ORIGIN, nonce, time })
}
