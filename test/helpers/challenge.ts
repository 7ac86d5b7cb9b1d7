// Challenges as docs/protocol.md, 2.9 has them, written apart from the client.
import { createHash } from 'node:crypto'
import { type Identity, signed } from '../../client/src/identity.ts'
import type { Peer } from './peer.ts'

export interface Challenge {
  readonly origin: string
  readonly nonce: string
  readonly time: number
}

/** Asks for a challenge of this socket. */
export async function askChallenge(peer: Peer, origin: string): Promise<Challenge> {
  peer.send({ type: 'challenge', payload: { origin } })
  const { type, payload } = await peer.next()
  if (type !== 'challenge') throw new Error(`no challenge: ${JSON.stringify(payload)}`)
  return { origin, nonce: payload.nonce, time: payload.time }
}

/** A `register` frame that answers it. */
export async function challengedFrame(clientId: string, identity: Identity, { origin, nonce, time }: Challenge) {
  const keyDigest = createHash('sha256').update(identity.publicKey).digest('hex')
  const text = `demos-relay:register\n${origin}\n${nonce}\n${time}\n${keyDigest}\n${clientId}`
  const verification = await signed(identity, Buffer.from(text))
  return {
    type: 'register',
    payload: { clientId, publicKey: [...identity.publicKey], verification, features: ['challenge'] }
  }
}
