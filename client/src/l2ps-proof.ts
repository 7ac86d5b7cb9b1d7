// The proofs in L2PS frames: which text a key signs, and the time that belongs to the signature.
import { toHex } from './base64.ts'
import type { Signer } from './identity.ts'

/** Signs for an L2PS peer. The public key, as hex, is the peer's name in its networks. */
export type L2psSigner = Pick<Signer, 'signingPublicKey' | 'sign'>

/** The fields of a signed frame that depend on its signature; `timestamp` belongs at the frame's top level. */
export interface Proof {
  proof: string
  timestamp: number
}

const utf8 = new TextEncoder()

/**
 * Proves that the holder of `publicKey` registers now. The key is signed as it is spelled, so it must go into the frame
 * in the same letter case. Source: docs/protocol.md, 4.2.
 */
export const registerProof = (signer: L2psSigner, publicKey: string, timestamp = freshTimestamp()): Promise<Proof> =>
  prove(signer, `register:${publicKey}:${timestamp}`, timestamp)

/** Proves that we ask for our history with `peerKey`, as it is spelled. Source: docs/protocol.md, 4.4. */
export const historyProof = (signer: L2psSigner, peerKey: string, timestamp = freshTimestamp()): Promise<Proof> =>
  prove(signer, `history:${peerKey}:${timestamp}`, timestamp)

async function prove(signer: L2psSigner, text: string, timestamp: number): Promise<Proof> {
  return { proof: toHex(await signer.sign(utf8.encode(text))), timestamp }
}

let lastTimestamp = 0

/**
 * Unix milliseconds, never the same twice in one process: two connections of one key must not register with the same
 * proof, which the server accepts on one socket only.
 */
export function freshTimestamp(): number {
  lastTimestamp = Math.max(Date.now(), lastTimestamp + 1)
  return lastTimestamp
}
