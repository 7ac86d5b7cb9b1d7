import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { DatabaseUnavailable } from '../database/database.ts'
import { withMailbox } from '../delivery/attach.ts'
import { RequestDeadline } from '../identity/request-deadline.ts'
import { addressKey } from '../limits/address.ts'
import type { Network } from '../networks/network.ts'
import type { PayloadOf } from '../protocol/frame.ts'
import type { RegisterFrame } from '../protocol/l2ps.ts'
import { keyFault, type PeerKey, peerKeyOf } from '../protocol/peer-key.ts'
import { type Answer, type Effect, silence } from '../session/effect.ts'
import { decodeHex } from '../util/encoding.ts'
import { failed, type L2psContext, type L2psSession, type Request, refuse, reply } from './context.ts'
import { keysOf, type Others, othersThan } from './discover.ts'
import { L2psMember } from './l2ps-member.ts'
import { refuseProof } from './proof.ts'

type Register = PayloadOf<typeof RegisterFrame>

/** Joins the socket to a network, if the proof holds (docs/protocol.md, 4.2). */
export function handleRegister(
  context: L2psContext,
  payload: Register,
  session: L2psSession,
  request: Request
): Effect {
  const key = peerKeyOf(payload.publicKey)
  if (key === undefined) return refuse(context, 'INVALID_MESSAGE', keyFault(payload.publicKey, 'publicKey'), request)
  const { member } = session
  if (member !== undefined) {
    if (member.peer !== key.address || member.network !== payload.l2psUid) {
      const detail = 'This socket is registered already, for another key or network'
      return refuse(context, 'INVALID_MESSAGE', detail, request)
    }
    const others = othersThan(context, member.network, member.peer)
    const give = (list: Others) => registered(context, payload, member, request, list)
    return others instanceof Promise ? others.then(give) : give(others)
  }
  const deadline = new RequestDeadline(context.database.deadlineMs)
  return deadline
    .within(register(context, payload, key, session, request, deadline))
    .then((answer) => countFailure(context, session, answer), failed(context, request, 'registration not completed'))
}

async function register(
  context: L2psContext,
  payload: Register,
  key: PeerKey,
  session: L2psSession,
  request: Request,
  deadline: RequestDeadline
): Promise<Answer> {
  const { networks, attachments } = context
  const { l2psUid: uid } = payload
  const noNetwork = () => refuse(context, 'L2PS_NOT_FOUND', `L2PS network ${uid} not found`, request)
  session.pay('registration')
  const network = await deadline.beside(networks.lookUp(uid)) // which has a deadline of its own
  if (network === undefined || !admits(network, key)) return noNetwork()
  const claim = { key, purpose: 'register', subject: payload.publicKey, proof: payload.proof } as const
  const refusal = await deadline.beside(refuseProof(context, claim, session, request))
  if (refusal !== undefined) return refusal
  const tooMany = () => {
    const detail = `This key has ${attachments.sessionsPerPeer} connections, the most it may have. Close one first.`
    return refuse(context, 'RATE_LIMITED', detail, request)
  }
  if (attachments.registry.sessions(uid, key.address).length >= attachments.sessionsPerPeer) return tooMany()
  const box = { network: uid, recipient: key.address, keyId: null }
  const { mailbox } = await withMailbox(
    attachments,
    box,
    () => enter(context, payload, key, session, request),
    (isFirst) => isFirst
  )
  if (mailbox === undefined) {
    return refuse(context, 'INVALID_PROOF', 'This proof was used on another connection; sign a new one', request)
  }
  if (typeof mailbox === 'string') return tooMany()
  // Before the session is in the registry: nothing it is told of may overtake the reply. No wait where there is none.
  const listed = othersThan(context, uid, key.address)
  const others = listed instanceof Promise ? await listed : listed
  // The network may have been disabled meanwhile, when this session was not yet among those to be closed.
  const networkNow = networks.find(uid)
  const isAdmitted = networkNow !== undefined && admits(networkNow, key)
  if (!isAdmitted || !session.isOpen || deadline.isOver) {
    mailbox.close()
    return isAdmitted ? silence : noNetwork()
  }
  const member = new L2psMember(session, mailbox, { key, features: payload.features ?? [] }, context)
  member.join()
  const { frame } = registered(context, payload, member, request, others)
  return { frame, after: () => member.start() }
}

/** A key that may not join a network is told that there is no such network. */
export const admits = (network: Network, key: PeerKey) =>
  network.enabled && (network.members === undefined || network.members.has(key.address))

async function countFailure(context: L2psContext, session: L2psSession, answer: Answer): Promise<Answer> {
  if (answer.refusal === undefined || answer.isOurFault) return answer
  session.failedRegistrations += 1
  const waits = context.failedProofs.refused(addressKey(session.address))
  if (waits > 0) await delay(waits)
  const isLast = session.failedRegistrations > context.failedRegistrations
  return isLast ? { ...answer, after: () => session.close('policy') } : answer
}

/** The proof each session has shown: the same socket may show it again (docs/protocol.md, 5.4). */
const shown = new WeakMap<L2psSession, string>()

/** Notes the key and its proof; false for a proof that another socket has shown. */
async function enter(context: L2psContext, payload: Register, key: PeerKey, session: L2psSession, request: Request) {
  const digest = createHash('sha256').update(key.address).update(decodeHex(payload.proof)!).digest()
  if (shown.get(session) === digest.toString('hex')) return true
  const isFirst = await context.enter({
    network: payload.l2psUid,
    peer: key.address,
    algorithm: key.algorithm,
    signingKey: decodeHex(key.hex)!,
    proof: { digest, expiresAt: (request.timestamp as number) + 2 * context.proofWindowMs }
  })
  if (typeof isFirst === 'string') throw new DatabaseUnavailable('the key was not noted')
  if (isFirst) shown.set(session, digest.toString('hex'))
  return isFirst
}

function registered(
  context: L2psContext,
  { publicKey, l2psUid }: Register,
  member: L2psMember,
  request: Request,
  { peers, hasMore, moment }: Others
): Answer {
  context.attachments.registry.listed(member, moment, !hasMore)
  const onlinePeers = keysOf(context, member.network, peers)
  const payload = { success: true, publicKey, l2psUid, onlinePeers, hasMore: hasMore || undefined }
  return reply(context, request, 'registered', payload)
}
