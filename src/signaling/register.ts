import { createHash } from 'node:crypto'
import { algorithmNamed } from '../crypto/algorithms.ts'
import { decodeBase64 } from '../crypto/base64.ts'
import type { Proof } from '../crypto/verifier.ts'
import { Receipts } from '../delivery/receipts.ts'
import type { PayloadOf } from '../protocol/frame.ts'
import {
  encodeMessage,
  encodeRegistered,
  ML_KEM_768_KEY_BYTES,
  type RegisterFrame,
  SIGNALING_NETWORK
} from '../protocol/signaling.ts'
import { answer, type Effect, silence } from '../session/effect.ts'
import type { Session } from '../session/session.ts'
import type { Claim } from '../store/identity.ts'
import { refuse, type SignalingContext } from './context.ts'
import { isEncryptedObject } from './message.ts'

type Register = PayloadOf<typeof RegisterFrame>

/** How long the socket that holds a client id has to answer a ping before it gives way, in ms (protocol.md section 11). */
const PREDECESSOR_MS = 2_000
const badProof = () => refuse('INVALID_PROOF', 'Invalid proof')
const taken = (id: string) => refuse('CLIENT_ID_TAKEN', `Client ID ${id} is already taken`)

/** Gives the socket a client id, if the proof holds and the id is free or the claimant's (signaling protocol 2.1). */
export function handleRegister(context: SignalingContext, payload: Register, session: Session): Effect {
  if (session.member !== undefined) {
    return session.member.peer === payload.clientId
      ? answer(encodeRegistered(payload.clientId))
      : refuse('INVALID_MESSAGE', `This socket is registered as ${session.member.peer}`)
  }
  return { kind: 'wait', until: register(context, payload, session) }
}

async function register(context: SignalingContext, payload: Register, session: Session): Promise<Effect> {
  const refusal = await refuseProof(context, payload, session)
  if (refusal !== undefined) {
    session.failedRegistrations += 1
    const isLast = session.failedRegistrations > context.failedRegistrations
    return isLast ? { ...refusal, after: () => session.close('policy') } : refusal
  }
  const encryptionKey = Uint8Array.from(payload.publicKey)
  const claim: Claim = {
    network: SIGNALING_NETWORK,
    peer: payload.clientId,
    algorithm: algorithmNamed(payload.verification.algorithm)!.name,
    signingKey: decodeBase64(payload.verification.serializedPublicKey)!,
    encryptionKey,
    keyId: createHash('sha256').update(encryptionKey).digest('hex').slice(0, 32)
  }
  return (
    (await context.turns.take(claim.peer, () => claimName(context, claim, session, payload.features ?? []))) ??
    taken(claim.peer)
  )
}

/** Checks what the proof says before what it costs to check: lengths and limits first, then the signature. */
async function refuseProof(context: SignalingContext, payload: Register, session: Session) {
  const proof = proofIn(payload)
  if (proof === undefined) return badProof()
  if (!(await context.failedProofs.allows(session.address))) {
    return refuse('INTERNAL_ERROR', 'Too many failed registrations from this address. Please try again in a minute.')
  }
  const verdict = await context.proofs.verify(proof)
  if (verdict === 'valid') return undefined
  if (verdict === 'busy') return refuse('INTERNAL_ERROR', 'The server is busy with registrations. Please try again.')
  await context.failedProofs.count(session.address)
  return badProof()
}

/** The proof a register frame carries, or undefined when it cannot be one: its message must be the registered key. */
export function proofIn({ publicKey, verification }: Register): Proof | undefined {
  const algorithm = algorithmNamed(verification.algorithm)
  const message = decodeBase64(verification.serializedMessage)
  const signingKey = decodeBase64(verification.serializedPublicKey)
  const signature = decodeBase64(verification.serializedSignedData)
  if (algorithm === undefined || message === undefined || signingKey === undefined || signature === undefined) return
  if (message.length !== publicKey.length || message.some((byte, index) => byte !== publicKey[index])) return
  return { algorithm: algorithm.name, publicKey: signingKey, message, signature }
}

async function claimName(
  context: SignalingContext,
  claim: Claim,
  session: Session,
  features: readonly string[]
): Promise<Effect> {
  try {
    if (context.presence.members(SIGNALING_NETWORK, claim.peer).length > 0) {
      // Who does not own the name has no socket of its owner asked, let alone replaced.
      if (await context.claims.isTaken(claim)) return taken(claim.peer)
      if (await isHeldByLiveSocket(context, claim.peer)) return taken(claim.peer)
    }
    const outcome = await context.claims.take(claim)
    if (outcome === 'taken') return taken(claim.peer)
    if (outcome === 'rekeyed')
      context.log.info({ network: claim.network, keyId: claim.keyId }, 'encryption key changed')
  } catch (error) {
    context.log.error({ err: error }, 'registration not stored')
    return refuse('INTERNAL_ERROR', 'Failed to complete registration. Please try again.')
  }
  const { encryptionKey, keyId } = claim // not the signing key: it is a window on a larger buffer, and nobody asks for it
  context.identities.set(claim.network, claim.peer, { encryptionKey, keyId })
  return session.isOpen ? admit(context, claim, session, features) : silence
}

/** Makes the peer visible, then answers, then drains: in this order no message falls between backlog and live. */
function admit(context: SignalingContext, claim: Claim, session: Session, features: readonly string[]): Effect {
  const { mailbox, presence } = context
  const box = { network: claim.network, recipient: claim.peer, keyId: claim.keyId }
  const isRealClient = claim.encryptionKey?.length === ML_KEM_768_KEY_BYTES
  const receipts = new Receipts(
    session,
    {
      ...box,
      take: (afterSeq, limit, maxBytes) => mailbox.take(box, afterSeq, limit, maxBytes),
      admits: (entry) => entry.keyId !== null || !isRealClient || isEncryptedObject(JSON.parse(entry.sealed)),
      encode: (entry, isBacklog) =>
        encodeMessage(entry.sealed, entry.sender, {
          timestamp: isBacklog ? entry.acceptedAt : undefined,
          seq: receipts.strength === 'ack' ? entry.seq : undefined
        })
    },
    mailbox,
    context.receipts,
    features
  )
  const member = { network: claim.network, peer: claim.peer, session, receipts }
  session.register(member)
  presence.add(member)
  return { kind: 'answer', frame: encodeRegistered(claim.peer), after: () => receipts.delivery.start() }
}

/** A predecessor that answers a ping keeps the name; a dead one is closed and gives way. */
async function isHeldByLiveSocket(context: SignalingContext, clientId: string): Promise<boolean> {
  for (const member of [...context.presence.members(SIGNALING_NETWORK, clientId)]) {
    if (await member.session.isAlive(PREDECESSOR_MS)) return true
    context.log.info({ network: SIGNALING_NETWORK }, 'dead predecessor replaced')
    context.presence.dismiss(member, 'replaced')
  }
  return false
}
