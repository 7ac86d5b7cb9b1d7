import type { Static, TObject, TProperties } from '@sinclair/typebox'
import {
  asObject,
  type ClientFrame,
  firstFault,
  MAX_FRAME_BYTES,
  MAX_UNREGISTERED_FRAME_BYTES,
  parseJson,
  TOO_COMPLEX,
  TOO_MUCH
} from '../protocol/frame.ts'
import {
  AckFrame,
  DiscoverFrame,
  echoable,
  HistoryFrame,
  RegisterFrame,
  RequestPublicKeyFrame,
  SendFrame
} from '../protocol/l2ps.ts'
import { sourceText } from '../protocol/source-text.ts'
import { type Effect, silence } from '../session/effect.ts'
import type { SessionProtocol } from '../session/session.ts'
import { type L2psContext, type L2psSession, type RegisteredSession, type Request, refuse } from './context.ts'
import { handleDiscover } from './discover.ts'
import { handleHistory } from './history.ts'
import type { L2psMember } from './l2ps-member.ts'
import { handleRegister } from './register.ts'
import { handleRequestPublicKey } from './request-public-key.ts'
import { handleSend } from './send.ts'

type Route = (payload: unknown, session: L2psSession, request: Request) => Effect

/** The L2PS messaging protocol: a text frame and its session in, an effect out. */
export function createL2ps(context: L2psContext): SessionProtocol<L2psMember> {
  /** A frame for registered sockets only; others are told `stranger`. */
  function closed<P extends TProperties>(
    frame: ClientFrame<P>,
    stranger: string,
    handle: (payload: Static<TObject<P>>, session: RegisteredSession, request: Request) => Effect
  ): [string, Route] {
    const route: Route = (payload, session, request) => {
      if (session.member === undefined) return refuse(context, 'REGISTRATION_REQUIRED', stranger, request)
      if (frame.check.Check(payload)) return handle(payload, session as RegisteredSession, request)
      return refuse(context, 'INVALID_MESSAGE', faultIn(frame, payload), request)
    }
    return [frame.type, route]
  }

  const register: Route = (payload, session, request) =>
    RegisterFrame.check.Check(payload)
      ? handleRegister(context, payload, session, request)
      : refuse(context, 'INVALID_MESSAGE', firstFault(RegisterFrame, payload).detail, request)

  const routes = new Map<string, Route>([
    [RegisterFrame.type, register],
    closed(SendFrame, 'Register before sending', (...frame) => handleSend(context, ...frame)),
    closed(HistoryFrame, 'Register first', (...frame) => handleHistory(context, ...frame)),
    closed(DiscoverFrame, 'Register before discovering peers', (...frame) => handleDiscover(context, ...frame)),
    closed(RequestPublicKeyFrame, 'Register before requesting public keys', (...frame) =>
      handleRequestPublicKey(context, ...frame)
    ),
    closed(AckFrame, 'Register first', ({ messageHash, seq }, { member }) => {
      if (member.strength !== 'ack') return silence
      if (messageHash !== undefined) member.delivery.acknowledge(messageHash)
      if (seq !== undefined) member.delivery.acknowledgeTo(seq)
      return silence
    })
  ])

  return {
    name: 'l2ps',
    handle: (text, session) => handle(context, routes, text, session),
    refuse: (what, data) => {
      if (what !== 'internal' && what !== 'too-much') context.countFrame(undefined)
      return refuse(context, UNREADABLE[what].code, UNREADABLE[what].words, { requestId: requestIdIn(what, data) })
    }
  }
}

/** Read from a frame that is too large, too: without its requestId, the official client waits 15 s for the answer. */
function requestIdIn(what: keyof typeof UNREADABLE, data: Buffer): string | undefined {
  const text = what === 'binary' ? undefined : sourceText(data.toString('utf8'), 'requestId')
  return text === undefined ? undefined : echoable(parseJson(text)?.value)
}

const UNREADABLE = {
  binary: { code: 'INVALID_MESSAGE', words: 'Binary frames are not accepted; send JSON as text' },
  'too-large': { code: 'INVALID_MESSAGE', words: `Message too large (max ${MAX_FRAME_BYTES} bytes)` },
  'too-large-unregistered': {
    code: 'INVALID_MESSAGE',
    words: `Message too large (max ${MAX_UNREGISTERED_FRAME_BYTES} bytes before registration)`
  },
  'too-complex': { code: 'INVALID_MESSAGE', words: TOO_COMPLEX },
  'too-much': { code: 'RATE_LIMITED', words: TOO_MUCH },
  internal: { code: 'INTERNAL_ERROR', words: 'Internal server error' }
} as const

function handle(context: L2psContext, routes: ReadonlyMap<string, Route>, text: string, session: L2psSession): Effect {
  const parsed = parseJson(text)
  const frame = asObject(parsed?.value)
  context.countFrame(frame?.type)
  if (parsed === undefined) return refuse(context, 'INVALID_MESSAGE', 'Invalid JSON')
  const request = { requestId: echoable(frame?.requestId), timestamp: frame?.timestamp, text }
  if (
    frame === undefined ||
    typeof frame.type !== 'string' ||
    frame.type === '' ||
    asObject(frame.payload) === undefined
  ) {
    return refuse(context, 'INVALID_MESSAGE', 'Missing or invalid type/payload', request)
  }
  const route = routes.get(frame.type)
  if (route !== undefined) return route(frame.payload, session, request)
  return refuse(context, 'INVALID_MESSAGE', `Unknown type: ${frame.type.slice(0, 64).toWellFormed()}`, request)
}

/** The protocol has a sentence of its own for a body that lacks its ciphertext or nonce (docs/protocol.md, 4.3). */
function faultIn(frame: Parameters<typeof firstFault>[0], payload: unknown): string {
  const { path, detail } = firstFault(frame, payload)
  const isBody = path.startsWith('/encrypted') && asObject((payload as Record<string, unknown>).encrypted) !== undefined
  return isBody ? 'Encrypted payload must have ciphertext and nonce' : detail
}
