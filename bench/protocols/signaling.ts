import { randomBytes } from 'node:crypto'
import { createIdentity, type Identity, type Verification } from '../../client/src/index.ts'
import { type Algorithm, type BenchPeer, type Kind, type Protocol, typeOf } from './protocol.ts'
import { STAMP, Stamped } from './stamped.ts'

/** Key pairs are shared by the peers of a worker: making thousands of ML-KEM and ML-DSA keys would take minutes. */
const IDENTITIES = 32

interface Proven {
  readonly identity: Identity
  readonly proof: Verification
}

const KINDS: Readonly<Record<string, Kind>> = {
  register: 'registered',
  message: 'delivery',
  message_queued: 'queued',
  error: 'refused'
}

const known = new Map<Algorithm, Promise<Proven[]>>()

export const signaling: Protocol = {
  name: 'signaling',
  confirmsDelivery: false,
  newPeers: async (prefix, count, algorithm) => {
    if (!known.has(algorithm)) known.set(algorithm, makeIdentities(algorithm))
    const identities = await known.get(algorithm)!
    return Array.from({ length: count }, (_, i) => peer(`${prefix}-${i}`, identities[i % identities.length]!))
  },
  kindOf: (frame) => KINDS[typeOf(frame)] ?? 'other',
  template: (_from, to, bodyBytes) => {
    const sealed = sealedBody(bodyBytes)
    return {
      frame: new Stamped(`{"type":"message","payload":{"targetId":${JSON.stringify(to.name)},"message":${sealed}}}`),
      sealed: new Stamped(sealed)
    }
  }
}

async function makeIdentities(algorithm: Algorithm): Promise<Proven[]> {
  const all: Proven[] = []
  for (let i = 0; i < IDENTITIES; i++) {
    const identity = await createIdentity({ algorithm })
    // A byte short of an ML-KEM-768 key: for those the server wants bodies of at least 1.5 kB.
    const publicKey = identity.publicKey.subarray(1)
    all.push({ identity: { ...identity, publicKey }, proof: await identity.proofOf(publicKey) })
  }
  return all
}

function peer(name: string, { identity, proof }: Proven): BenchPeer {
  const payload = { clientId: name, publicKey: [...identity.publicKey], verification: proof }
  const frame = JSON.stringify({ type: 'register', payload })
  return { name, registerFrame: async () => frame }
}

/** JSON of the shape real clients send, as close to `bytes` long as base64 allows. */
function sealedBody(bytes: number): string {
  const shape = (data: string) =>
    JSON.stringify({ algorithm: 'ml-kem-aes', serializedEncryptedData: data, serializedCipherText: STAMP })
  const groups = Math.max(1, Math.floor((bytes - shape('').length) / 4))
  return shape(randomBytes(groups * 3).toString('base64'))
}
