import { randomUUID } from 'node:crypto'
import type { Static, TObject, TProperties } from '@sinclair/typebox'
import type { Member } from '../delivery/member.ts'
import {
  asObject,
  type ClientFrame,
  firstFault,
  isFalsy,
  MAX_FRAME_BYTES,
  MAX_UNREGISTERED_FRAME_BYTES,
  parseJson,
  TOO_COMPLEX,
  TOO_MUCH
} from '../protocol/frame.ts'
import {
  AckFrame,
  ChallengeFrame,
  DebugQuestionFrame,
  DiscoverFrame,
  encodeServerQuestion,
  MessageFrame,
  PeerResponseFrame,
  RegisterFrame,
  RequestPublicKeyFrame,
  RequestRecordFrame
} from '../protocol/signaling.ts'
import { answer, type Effect, silence } from '../session/effect.ts'
import type { SessionProtocol } from '../session/session.ts'
import { handleChallenge } from './challenge.ts'
import { type RegisteredSession, refuse, type SignalingContext, type SignalingSession } from './context.ts'
import { handleDiscover } from './discover.ts'
import { handleMessage } from './message.ts'
import { handleRegister } from './register.ts'
import { handleRequestPublicKey } from './request-public-key.ts'
import { handleRequestRecord } from './request-record.ts'

type Route = (payload: unknown, session: SignalingSession, frameText: string) => Effect

/** The signaling protocol: a text frame and its session in, an effect out. */
export function createSignaling(context: SignalingContext): SessionProtocol<Member> {
  const routes = new Map<string, Route>([
    open(RegisterFrame, refuseRegister, (payload, session) => handleRegister(context, payload, session)),
    open(
      ChallengeFrame,
      (payload) => refuse('INVALID_MESSAGE', firstFault(ChallengeFrame, payload).detail),
      (payload, session) => handleChallenge(context, payload, session)
    ),
    closed(DiscoverFrame, 'discovering peers', (payload) => handleDiscover(context, payload)),
    closed(MessageFrame, 'sending messages', (...frame) => handleMessage(context, ...frame)),
    closed(RequestPublicKeyFrame, 'requesting public keys', (payload, session) =>
      handleRequestPublicKey(context, payload, session)
    ),
    closed(RequestRecordFrame, 'requesting records', (payload, session) =>
      handleRequestRecord(context, payload, session)
    ),
    // Asks the caller something, so that an application can try its handling of server questions.
    closed(DebugQuestionFrame, 'sending debug messages', () =>
      answer(encodeServerQuestion(randomUUID(), 'Is this connection working?'))
    ),
    closed(AckFrame, 'acknowledging', ({ seq }, { member }) => {
      if (member.strength === 'ack') member.delivery.acknowledgeTo(seq)
      return silence
    }),
    closed(PeerResponseFrame, 'responding to questions', () => silence)
  ])
  return {
    name: 'signaling',
    handle: (text, session) => handle(context, routes, text, session),
    refuse: (what) => {
      if (what !== 'internal' && what !== 'too-much') context.countFrame(undefined)
      return UNREADABLE[what]()
    }
  }
}

const UNREADABLE = {
  binary: () => refuse('INVALID_MESSAGE', 'Binary frames are not accepted; send JSON as text'),
  'too-large': () => refuse('INVALID_MESSAGE', `Message too large (max ${MAX_FRAME_BYTES} bytes)`),
  'too-large-unregistered': () =>
    refuse('INVALID_MESSAGE', `Message too large (max ${MAX_UNREGISTERED_FRAME_BYTES} bytes before registration)`),
  'too-complex': () => refuse('INVALID_MESSAGE', TOO_COMPLEX),
  'too-much': () => refuse('INTERNAL_ERROR', TOO_MUCH),
  internal: () => refuse('INTERNAL_ERROR', 'Internal server error')
}

function handle(
  context: SignalingContext,
  routes: ReadonlyMap<string, Route>,
  text: string,
  session: SignalingSession
): Effect {
  const frame = asObject(parseJson(text)?.value)
  context.countFrame(frame?.type)
  if (frame === undefined || isFalsy(frame.type) || isFalsy(frame.payload)) {
    return refuse('INVALID_MESSAGE', 'Invalid message format')
  }
  const route = typeof frame.type === 'string' ? routes.get(frame.type) : undefined
  return route === undefined ? refuse('INVALID_MESSAGE', unknownType(frame.type)) : route(frame.payload, session, text)
}

/** Names the type it does not know, as far as it is short and text: it goes back to its sender. */
const unknownType = (type: unknown) =>
  `Unknown message type: ${typeof type === 'string' ? type.slice(0, 64).toWellFormed() : typeof type}`

/** A frame that unregistered sockets may send, too. */
function open<P extends TProperties>(
  frame: ClientFrame<P>,
  invalid: (payload: unknown) => Effect,
  handle: (payload: Static<TObject<P>>, session: SignalingSession) => Effect
): [string, Route] {
  return [frame.type, (payload, session) => (frame.check.Check(payload) ? handle(payload, session) : invalid(payload))]
}

/** A frame for registered sockets only; `purpose` completes the sentence others are refused with. */
function closed<P extends TProperties>(
  frame: ClientFrame<P>,
  purpose: string,
  handle: (payload: Static<TObject<P>>, session: RegisteredSession, frameText: string) => Effect
): [string, Route] {
  const route: Route = (payload, session, frameText) => {
    if (session.member === undefined) return refuse('REGISTRATION_REQUIRED', `You must register before ${purpose}`)
    if (frame.check.Check(payload)) return handle(payload, session as RegisteredSession, frameText)
    return refuse('INVALID_MESSAGE', firstFault(frame, payload).detail)
  }
  return [frame.type, route]
}

const NO_PUBLIC_KEY = 'Invalid public key format: publicKey must be a list of 1 to 4096 numbers from 0 to 255'

/** A register frame of the wrong shape: the error names the part that is wrong (docs/protocol.md, 2.1). */
function refuseRegister(payload: unknown): Effect {
  const { path, detail } = firstFault(RegisterFrame, payload)
  const { publicKey, verification } = payload as Record<string, unknown>
  if (path.startsWith('/publicKey') && !isFalsy(publicKey)) {
    return refuse('INVALID_PUBLIC_KEY', NO_PUBLIC_KEY)
  }
  const hasProof = typeof verification === 'object' && verification !== null
  return path.startsWith('/verification') && hasProof
    ? refuse('INVALID_PROOF', 'Invalid proof')
    : refuse('INVALID_MESSAGE', detail)
}
