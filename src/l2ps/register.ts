import { createHash } from 'node:crypto'
import { DatabaseUnavailable } from '../database/database.ts'
import { Receipts } from '../delivery/receipts.ts'
import type { Network } from '../networks/registry.ts'
import type { PayloadOf } from '../protocol/frame.ts'
import { encodeMessage, type RegisterFrame } from '../protocol/l2ps.ts'
import { type Effect, type Refusal, silence } from '../session/effect.ts'
import type { Session } from '../session/session.ts'
import { failed, type L2psContext, type L2psMember, type Request, refuse, reply } from './context.ts'
import { decodeHex, type PeerKey, peerKeyOf } from './keys.ts'
import { checkProof } from './proof.ts'

type Register = PayloadOf<typeof RegisterFrame>

/** Joins the socket to a network, if the proof holds (L2PS messaging, 4.2). */
export function handleRegister(context: L2psContext, payload: Register, session: Session, request: Request): Effect {
  const key = peerKeyOf(payload.publicKey)
  if (key === undefined) return refuse(context, 'INVALID_MESSAGE', 'Invalid publicKey format (expected hex)', request)
  const member = session.member as L2psMember | undefined
  if (member !== undefined) {
    return member.peer === key.address && member.network === payload.l2psUid
      ? registered(context, payload, member, request)
      : refuse(context, 'INVALID_MESSAGE', 'This socket is registered already, for another key or network', request)
  }
  const until = register(context, payload, key, session, request).then(
    (effect) => (effect.kind === 'refuse' ? countFailure(context, session, effect) : effect),
    failed(context, request, 'registration not completed')
  )
  return { kind: 'wait', until }
}

async function register(context: L2psContext, payload: Register, key: PeerKey, session: Session, request: Request) {
  const network = await context.networks.lookUp(payload.l2psUid)
  if (network === undefined || !admits(network, key)) {
    return refuse(context, 'L2PS_NOT_FOUND', `L2PS network ${payload.l2psUid} not found`, request)
  }
  const signed = `register:${payload.publicKey}:${request.timestamp}`
  const refusal = await checkProof(context, { key, signed, proof: payload.proof }, session, request)
  if (refusal !== undefined) return refusal
  if (!(await enter(context, payload, key, session, request))) {
    return refuse(context, 'INVALID_PROOF', 'This proof was used on another connection; sign a new one', request)
  }
  if (!session.isOpen) return silence
  // It may have been disabled meanwhile: those inside were told before this one came in.
  const now = context.networks.find(network.uid)
  if (now === undefined || !admits(now, key)) {
    return refuse(context, 'L2PS_NOT_FOUND', `L2PS network ${payload.l2psUid} not found`, request)
  }
  return admit(context, payload, key, session, request)
}

/** A network that a key may not enter is, to its owner, not there. */
export const admits = (network: Network, key: PeerKey) =>
  network.enabled && (network.members === undefined || network.members.has(key.address))

function countFailure(context: L2psContext, session: Session, refusal: Refusal): Refusal {
  session.failedRegistrations += 1
  const isLast = session.failedRegistrations > context.failedRegistrations
  return isLast ? { ...refusal, after: () => session.close('policy') } : refusal
}

/** The proof each session has shown: the same socket may show it again (L2PS messaging, 5.4). */
const shown = new WeakMap<Session, string>()

/** Notes the key and its proof; false for a proof that another socket has shown. */
async function enter(context: L2psContext, payload: Register, key: PeerKey, session: Session, request: Request) {
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

/** Makes the peer visible, then answers, then drains: in this order no message falls between backlog and live. */
function admit(context: L2psContext, payload: Register, key: PeerKey, session: Session, request: Request): Effect {
  const { mailbox, presence, names, now } = context
  const box = { network: payload.l2psUid, recipient: key.address, keyId: null }
  const receipts = new Receipts(
    session,
    {
      ...box,
      take: async (afterSeq, limit, maxBytes) => {
        const page = await mailbox.take(box, afterSeq, limit, maxBytes)
        await names.learn(
          box.network,
          page.map((entry) => entry.sender)
        )
        return page
      },
      admits: () => true,
      encode: ({ sender, sealed, digest, seq }, offline) => {
        const ack = receipts.strength === 'ack' ? seq : undefined
        return encodeMessage(
          { from: names.keyOf(box.network, sender), sealed, messageHash: digest!, offline, seq: ack },
          now()
        )
      }
    },
    mailbox,
    context.receipts,
    payload.features ?? []
  )
  const member: L2psMember = {
    network: box.network,
    peer: key.address,
    session,
    receipts,
    key,
    spelling: payload.publicKey
  }
  session.register(member)
  presence.add(member)
  return { ...registered(context, payload, member, request), after: () => receipts.delivery.start() }
}

function registered(context: L2psContext, payload: Register, member: L2psMember, request: Request) {
  const others = context.presence.peers(member.network).filter((address) => address !== member.peer)
  const onlinePeers = others.map((address) => context.names.keyOf(member.network, address))
  const { publicKey, l2psUid } = payload
  return reply(context, request, 'registered', { success: true, publicKey, l2psUid, onlinePeers })
}
