import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { algorithmNamed } from '../crypto/algorithms.ts'
import type { Proof } from '../crypto/proof.ts'
import { withMailbox } from '../delivery/attach.ts'
import { RequestDeadline } from '../identity/request-deadline.ts'
import { addressKey } from '../limits/address.ts'
import type { PayloadOf } from '../protocol/frame.ts'
import { isProofText } from '../protocol/proof-texts.ts'
import { encodeRegistered, ML_KEM_768_KEY_BYTES, type RegisterFrame, SIGNALING_NETWORK } from '../protocol/signaling.ts'
import { type Answer, answer, type Effect, silence } from '../session/effect.ts'
import type { Claim, ClaimOutcome, NameOwner } from '../store/identity.ts'
import { decodeBase64 } from '../util/encoding.ts'
import { challengeText } from './challenges.ts'
import { refuse, type SignalingContext, type SignalingSession } from './context.ts'
import { SignalingMember } from './signaling-member.ts'

type Register = PayloadOf<typeof RegisterFrame>

/** How long the socket that holds a client id has to answer a ping before it gives way, in ms (docs/protocol.md, 2.8). */
const PREDECESSOR_MS = 2_000
const badProof = () => refuse('INVALID_PROOF', 'Invalid proof')
const ourFault = (details: string): Answer => ({ ...refuse('INTERNAL_ERROR', details), isOurFault: true })
/** Begins with the reference's sentence. */
const taken = (id: string, why: string) => refuse('CLIENT_ID_TAKEN', `Client ID ${id} is already taken: ${why}`)
const othersName = (id: string) => taken(id, 'it belongs to another key')
const isConnected = (id: string) => taken(id, 'it is connected, perhaps from another tab or device')
const inherited = (id: string) =>
  refuse(
    'CLIENT_ID_TAKEN',
    `Client ID ${id} is already taken: it was unused for so long that another key could register it, and did`
  )
const noChallenge = () =>
  refuse('CHALLENGE_EXPIRED', 'This connection has no challenge to answer any more. Ask for a new one and sign it.')
const unchallenged = (id: string) =>
  refuse('CHALLENGE_REQUIRED', `Client ID ${id} was registered with a challenge before, and is with one only`)

/** Gives the socket a client id, if the proof holds and the id is free or the claimant's (docs/protocol.md, 2.1 and 2.9). */
export function handleRegister(context: SignalingContext, payload: Register, session: SignalingSession): Effect {
  if (session.member === undefined) return registerInTime(context, payload, session)
  return session.member.peer === payload.clientId
    ? answer(encodeRegistered(payload.clientId))
    : refuse('INVALID_MESSAGE', `This socket is registered as ${session.member.peer}`)
}

async function registerInTime(
  context: SignalingContext,
  payload: Register,
  session: SignalingSession
): Promise<Answer> {
  const deadline = new RequestDeadline(context.deadlineMs)
  try {
    return await deadline.within(register(context, payload, session, deadline))
  } catch (error) {
    context.log.error({ err: error }, 'registration not stored')
    return ourFault('Failed to complete registration. Please try again.')
  }
}

async function register(
  context: SignalingContext,
  payload: Register,
  session: SignalingSession,
  deadline: RequestDeadline
): Promise<Answer> {
  session.pay('registration')
  const isChallenged = payload.features?.includes('challenge') ?? false
  const challenge = isChallenged ? context.challenges.take(session) : undefined
  const refused = (refusal: Answer) => deadline.beside(countFailure(context, session, refusal))
  if (isChallenged && challenge === undefined) return refused(noChallenge())
  const proof = proofIn(payload, challenge && challengeText(challenge, payload))
  if (proof === undefined) return refused(badProof())
  const claim = claimOf(payload, proof, isChallenged)
  // Before anything that costs more: whoever does not own the name takes neither a place in its queue nor a check.
  const notOwner = ownerRefusal(await context.registration.ownerOf(claim), claim)
  if (notOwner !== undefined) return refused(notOwner)
  const notProven = await deadline.beside(refuseProof(context, proof, claim, session))
  if (notProven !== undefined) return refused(notProven)
  const claimed = await context.nameMutex.run(claim.peer, () => claimName(context, claim, session, payload, deadline))
  return claimed ?? ourFault('The server is busy with this client id. Please try again.')
}

async function countFailure(context: SignalingContext, session: SignalingSession, refusal: Answer): Promise<Answer> {
  if (refusal.isOurFault) return refusal
  session.failedRegistrations += 1
  const waits = context.failedProofs.refused(addressKey(session.address))
  if (waits > 0) await delay(waits)
  const isLast = session.failedRegistrations > context.failedRegistrations
  return isLast ? { ...refusal, after: () => session.close('policy') } : refusal
}

function claimOf(
  { clientId, publicKey }: Register,
  { algorithm, publicKey: signingKey }: Proof,
  isChallenged: boolean
): Claim {
  const encryptionKey = Uint8Array.from(publicKey)
  const keyId = createHash('sha256').update(encryptionKey).digest().toString('hex', 0, 16)
  return { network: SIGNALING_NETWORK, peer: clientId, algorithm, signingKey, encryptionKey, keyId, isChallenged }
}

function ownerRefusal(owner: NameOwner, { peer }: Claim): Answer | undefined {
  if (owner === 'challenge') return unchallenged(peer)
  if (owner === 'heir') return inherited(peer)
  return owner === 'other' ? othersName(peer) : undefined
}

async function refuseProof(
  { failedProofs, proofs }: SignalingContext,
  proof: Proof,
  { peer }: Claim,
  session: SignalingSession
): Promise<Answer | undefined> {
  const from = addressKey(session.address)
  const claimed = `${peer} ${Buffer.from(proof.publicKey).toString('base64')}`
  if (!failedProofs.allows(from, claimed)) {
    const detail = 'Too many failed registrations of this client id from this address. Please try again in a minute.'
    return refuse('INTERNAL_ERROR', detail)
  }
  session.pay('signature')
  const verdict = await proofs.verify(proof, from)
  if (verdict === 'valid') return undefined
  if (verdict === 'busy') return ourFault('The server is busy with registrations. Please try again.')
  failedProofs.count(from, claimed)
  return badProof()
}

/**
 * The proof a register frame carries, or undefined when it cannot be one: its message must be the registered key, or the
 * text of the challenge.
 */
function proofIn({ publicKey, verification }: Register, challengeText?: Uint8Array): Proof | undefined {
  const algorithm = algorithmNamed(verification.algorithm)
  const message = decodeBase64(verification.serializedMessage)
  const signingKey = decodeBase64(verification.serializedPublicKey)
  const signature = decodeBase64(verification.serializedSignedData)
  if (algorithm === undefined || message === undefined || signingKey === undefined || signature === undefined) return
  if (challengeText === undefined && isProofText(message)) return // signed for another purpose
  const signed = challengeText ?? publicKey
  if (message.length !== signed.length || message.some((byte, index) => byte !== signed[index])) return
  return { algorithm: algorithm.name, publicKey: signingKey, message, signature }
}

/** Runs one at a time for each name: of two sockets that claim it at the same time exactly one succeeds. */
async function claimName(
  context: SignalingContext,
  claim: Claim,
  session: SignalingSession,
  { features }: Register,
  deadline: RequestDeadline
): Promise<Answer> {
  if (deadline.isOver) return silence
  const { registration, attachments } = context
  if (attachments.registry.sessions(SIGNALING_NETWORK, claim.peer).length > 0) {
    // Asked again in its turn: who does not own the name has no socket of its owner asked, let alone replaced.
    const refusal = ownerRefusal(await registration.ownerOf(claim), claim)
    if (refusal !== undefined) return refusal
    if (await deadline.beside(isHeldByLiveSocket(context, claim.peer))) return isConnected(claim.peer)
  }
  const box = { network: SIGNALING_NETWORK, recipient: claim.peer, keyId: claim.keyId }
  const { result: outcome, mailbox } = await withMailbox(
    attachments,
    box,
    () => registration.register(claim),
    (result) => result !== 'taken' && result !== 'challenge'
  )
  if (outcome === 'challenge') return unchallenged(claim.peer)
  if (mailbox === undefined) return othersName(claim.peer)
  if (typeof mailbox === 'string') return isConnected(claim.peer)
  await noteIdentity(context, claim, outcome).catch((error: unknown) => {
    mailbox.close()
    throw error
  })
  if (!session.isOpen || deadline.isOver) {
    mailbox.close()
    return silence
  }
  const opensSealed = claim.encryptionKey.length === ML_KEM_768_KEY_BYTES
  const { keyId } = claim
  const member = new SignalingMember(session, mailbox, { keyId, features: features ?? [], opensSealed }, attachments)
  member.join()
  const isOldClient = claim.algorithm === 'ml-dsa' && opensSealed && features === undefined
  return {
    frame: encodeRegistered(claim.peer),
    after: () => {
      if (isOldClient && session.isOpen) session.putRepliesFirst()
      member.start()
    }
  }
}

/** Others are handed the key from here on. */
async function noteIdentity(context: SignalingContext, claim: Claim, outcome: ClaimOutcome): Promise<void> {
  const { registration, identities, identityChanged, log } = context
  const { network, peer, keyId } = claim
  if (outcome === 'rekeyed') log.info({ network, keyId }, 'encryption key changed')
  identities.renew(network, peer, await registration.identityOf(claim))
  if (outcome !== 'confirmed') identityChanged(network, peer)
}

/** A predecessor that answers a ping keeps the name; a dead one is closed and gives way. */
async function isHeldByLiveSocket(context: SignalingContext, clientId: string): Promise<boolean> {
  for (const member of [...context.attachments.registry.sessions(SIGNALING_NETWORK, clientId)]) {
    if (await member.session.isAlive(PREDECESSOR_MS)) return true
    context.log.info({ network: SIGNALING_NETWORK }, 'dead predecessor replaced')
    member.dismiss('replaced')
  }
  return false
}
