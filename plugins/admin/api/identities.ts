import { type Static, Type } from '@sinclair/typebox'
import { readIdentity, releaseIdentity } from '../../../src/store/identity.ts'
import type { Amount } from '../../../src/store/purge.ts'
import { type AdminContext, addressIn } from './context.ts'
import { PeerParams } from './peers.ts'
import { ProblemError } from './problems.ts'
import { AmountAnswer, purgeAll } from './queues.ts'
import { Time } from './schemas.ts'

export const IdentityParams = PeerParams
export const IdentityAnswer = Type.Object(
  {
    network: Type.String(),
    peer: Type.String(),
    algorithm: Type.String({ description: 'Of the signing key.' }),
    signingKey: Type.String({ description: 'The key that owns the name, base64.' }),
    keyId: Type.Union([Type.String(), Type.Null()], { description: 'Names the encryption key handed out now.' }),
    registeredAt: Time,
    lastSeenAt: Time,
    keys: Type.Array(Type.Object({ keyId: Type.String(), registeredAt: Time }), {
      description: 'Encryption keys it registered, oldest first: at most 1,000.'
    })
  },
  { description: 'Who owns a name.' }
)
export const ReleaseAnswer = Type.Object(
  { released: Type.Boolean(), purged: AmountAnswer },
  { description: "The name is nobody's now." }
)

type Name = Static<typeof IdentityParams>

/** Tries to empty a mailbox that is still being filled. */
const TRIES = 5
const NOBODY = () => new ProblemError('not-found', 'nobody ever registered this name here')

export async function showIdentity(context: AdminContext, params: Name): Promise<Static<typeof IdentityAnswer>> {
  const { database } = context
  const name = nameOf(params)
  const identity = await database.within(readIdentity(database.sql, name.network, name.peer))
  if (identity === undefined) throw NOBODY()
  return {
    ...name,
    algorithm: identity.algorithm,
    signingKey: Buffer.from(identity.signingKey).toString('base64'),
    keyId: identity.keyId,
    registeredAt: identity.registeredAt.toISOString(),
    lastSeenAt: identity.lastSeenAt.toISOString(),
    keys: identity.keys.map(({ keyId, registeredAt }) => ({ keyId, registeredAt: registeredAt.toISOString() }))
  }
}

/** Makes a name nobody's, and closes its sessions. In turn with claims of it, so nobody gets in between. */
export async function releaseName(context: AdminContext, params: Name, force: boolean) {
  const name = nameOf(params)
  const purged = await context.nameTurns.take(name.peer, () => release(context, name, force))
  if (purged === undefined) throw new ProblemError('too-many-requests', 'too many claims of this name are under way')
  return { released: true, purged }
}

async function release(context: AdminContext, { network, peer }: Name, force: boolean): Promise<Amount> {
  const { database, identities, presence, now } = context
  const purged = { entries: 0, bytes: 0 }
  for (let tries = 0; tries < TRIES; tries++) {
    const outcome = await database.within(releaseIdentity(database.sql, network, peer, now()))
    if (outcome === 'unknown') throw NOBODY()
    if (outcome === 'released') {
      identities.set(network, peer, undefined)
      for (const member of [...presence.members(network, peer)]) presence.dismiss(member, 'dismissed')
      return purged
    }
    if (!force) break
    const step = await purgeAll(context, { network, recipient: peer })
    purged.entries += step.entries
    purged.bytes += step.bytes
  }
  throw new ProblemError('messages-waiting', 'messages wait for the owner of this name')
}

const nameOf = ({ network, peer }: Name): Name => ({ network, peer: addressIn(network, peer) })
