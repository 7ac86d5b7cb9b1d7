// An L2PS peer of the suite.
import { toHex } from '../../client/src/base64.ts'
import { createSigner, type Signer } from '../../client/src/identity.ts'
import { freshTimestamp, historyProof, registerProof } from '../../client/src/l2ps-proof.ts'
import type { Connection, Frame } from './connection.ts'
import { expect, expectSame, expectType, fresh, type Stage } from './rule.ts'

export interface Member {
  readonly key: string
  readonly signer: Signer
  readonly socket: Connection
  /** What `registered` said. */
  readonly registered: Frame
  /** Sends a request, and takes its answer by the requestId. */
  ask(type: string, payload: object): Promise<Frame>
}

export const quickSigner = (): Promise<Signer> => createSigner('ed25519', crypto.getRandomValues(new Uint8Array(32)))

export const keyOf = (signer: Signer): string => toHex(signer.signingPublicKey)

export interface Registering {
  readonly publicKey?: string
  readonly timestamp?: number
  readonly proof?: string
}

export async function registerFrame(signer: Signer, l2psUid: string, changes: Registering = {}) {
  const { publicKey = keyOf(signer), timestamp: at = freshTimestamp() } = changes
  const { proof, timestamp } = await registerProof(signer, publicKey, at)
  const payload = { publicKey, l2psUid, proof: changes.proof ?? proof }
  return { type: 'register', payload, timestamp, requestId: fresh('request') }
}

/** A registered member of the network; the reply must be the first frame. */
export async function enter(
  stage: Stage,
  name: string,
  { signer, network = stage.target.network }: { signer?: Signer; network?: string } = {}
): Promise<Member> {
  const who = signer ?? (await quickSigner())
  const socket = await stage.connect(name)
  const frame = await registerFrame(who, network)
  socket.send(frame)
  const registered = expectType(await socket.first('the reply to register'), 'registered')
  expectSame(registered.requestId, frame.requestId, 'the requestId of registered')
  return { key: keyOf(who), signer: who, socket, registered, ask: (type, payload) => ask(socket, type, payload) }
}

export async function ask(socket: Connection, type: string, payload: object, extra: object = {}): Promise<Frame> {
  const requestId = fresh('request')
  socket.send({ type, payload, timestamp: Date.now(), requestId, ...extra })
  return socket.take(`the answer to ${type} with its requestId`, (frame) => frame.requestId === requestId)
}

export async function askHistory(member: Member, peerKey: string, page: object = {}): Promise<Frame> {
  const { proof, timestamp } = await historyProof(member.signer, peerKey)
  return ask(member.socket, 'history', { peerKey, proof, ...page }, { timestamp })
}

export const body = (ciphertext = 'QUJD') => ({ ciphertext, nonce: 'MTIzNDU2Nzg5MDEy' })

export const sending = (to: string, messageHash = fresh('hash'), encrypted: object = body()) => ({
  to,
  encrypted,
  messageHash
})

export function expectError(frame: Frame, code: string, what: string): void {
  expectType(frame, 'error')
  expectSame(frame.payload.code, code, `the code for ${what}`)
  expect(typeof frame.payload.message === 'string' && frame.payload.message !== '', 'expected a message in the error')
}

export const nextMessage = ({ socket }: Member): Promise<Frame> =>
  socket.take('a message', ({ type }) => type === 'message')

/** Makes a round trip; no message may have come before its answer. */
export async function expectNoMessage(member: Member, what: string): Promise<void> {
  await member.ask('discover', {})
  const message = member.socket.untaken.find(({ type }) => type === 'message')
  expect(message === undefined, `expected no message (${what}), but one came: ${message?.text.slice(0, 200)}`)
}
