// A signaling peer of the suite.
import { digestOf } from '../../client/src/digest.ts'
import { createIdentity, createSigner, type Identity, type Signer, signed } from '../../client/src/identity.ts'
import type { Connection, Frame } from './connection.ts'
import { expect, expectSame, expectType, fresh, type Stage } from './rule.ts'

/** A signing key and something to announce: for most rules it need not be a key that messages can be sealed to. */
export type Keys = Signer & Pick<Identity, 'publicKey'>

export interface Peer {
  readonly id: string
  readonly keys: Keys
  readonly socket: Connection
  send(type: string, payload: object): void
}

export async function quickKeys(): Promise<Keys> {
  const signer = await createSigner('ed25519', crypto.getRandomValues(new Uint8Array(32)))
  return { ...signer, publicKey: crypto.getRandomValues(new Uint8Array(36)) }
}

/** As the official client has them: ML-DSA-65 and ML-KEM-768. */
export const officialKeys = (): Promise<Keys> => createIdentity({ algorithm: 'ml-dsa' })

/** `features: []` says that this is not the official client, so that no frame is held back (3.1). */
export async function registerFrame(clientId: string, keys: Keys, changes: object = {}) {
  const verification = await keys.proofOf(keys.publicKey)
  const payload = { clientId, publicKey: [...keys.publicKey], verification, features: [], ...changes }
  return { type: 'register', payload }
}

/** A registration that answers a challenge (2.9). */
export async function challengedFrame(
  clientId: string,
  keys: Keys,
  { origin, nonce, time }: { origin: string; nonce: string; time: number }
) {
  const digest = await digestOf(keys.publicKey)
  const text = ['demos-relay:register', origin, nonce, time, digest, clientId].join('\n')
  const verification = await signed(keys, new TextEncoder().encode(text))
  return registerFrame(clientId, keys, { verification, features: ['challenge'] })
}

export interface Joining {
  readonly id?: string
  readonly keys?: Keys
  readonly features?: readonly string[]
}

/** A registered peer under a fresh id; the reply must be the first frame. */
export async function join(stage: Stage, name: string, joining: Joining = {}): Promise<Peer> {
  const { id = fresh(name), keys = await quickKeys(), features = [] } = joining
  const socket = await stage.connect(name)
  socket.send(await registerFrame(id, keys, { features }))
  const { payload } = expectType(await socket.first('the reply to register'), 'register')
  expectSame([payload.success, payload.clientId], [true, id], 'success and clientId')
  return { id, keys, socket, send: (type, payload) => socket.send({ type, payload }) }
}

export async function expectError(socket: Connection, errorType: string, what: string): Promise<Frame> {
  const frame = expectType(await socket.next(`${errorType} for ${what}`), 'error')
  expectSame(frame.payload.errorType, errorType, `the errorType for ${what}`)
  expect(typeof frame.payload.details === 'string' && frame.payload.details !== '', 'expected details in the error')
  return frame
}

/** Answers come in the order of the requests, so nothing else may come before that of `discover`. */
export async function expectNothingMore({ socket }: Pick<Peer, 'socket'>, what: string): Promise<readonly string[]> {
  socket.send({ type: 'discover', payload: {} })
  const frame = await socket.next('the answer to discover')
  expect(
    frame.type === 'discover',
    `expected no frame for ${what}, but ${frame.type} came: ${frame.text.slice(0, 200)}`
  )
  expect(Array.isArray(frame.payload.peers), 'expected a list of peers')
  return frame.payload.peers
}

export const nextMessage = async ({ socket }: Peer): Promise<Frame> =>
  expectType(await socket.next('a message'), 'message')
