// What the documents allow as the answer to a frame, from the schemas that they are made of.
import { type TSchema, Type } from '@sinclair/typebox'
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler'
import { asObject, MAX_FRAME_BYTES, parseJson } from '../../src/protocol/frame.ts'
import { PROTOCOLS, type ProtocolDoc } from '../../src/protocol/frames.ts'
import { echoable } from '../../src/protocol/l2ps.ts'

/** What one frame may be answered with. */
export interface Expectation {
  /** Types of frames, and of errors. */
  readonly allowed: ReadonlySet<string>
  /** It may also stay unanswered. The frame sent next gets an answer that this one cannot get. */
  readonly isOptional: boolean
  /** What the answer carries; null: not told. */
  readonly requestId: string | undefined | null
  readonly text: string
}

interface FrameRules {
  readonly check: TypeCheck<TSchema>
  readonly answers: readonly string[]
}

export const DOCS = new Map(PROTOCOLS.map((doc) => [doc.name, doc]))

const RULES = new Map(PROTOCOLS.map(({ name, clientFrames }) => [name, rulesOf(clientFrames)]))

function rulesOf(frames: ProtocolDoc['clientFrames']): Map<string, FrameRules> {
  const rules = frames.map(({ frame, answers }) => {
    const check = TypeCompiler.Compile<TSchema>(Type.Object(frame.payload.properties))
    return [frame.type, { check, answers: answers.filter((type) => type !== 'error') }] as const
  })
  return new Map(rules)
}

/** Why a frame of the right shape may be refused (docs/protocol.md, 2 and 4). */
const REFUSALS: Readonly<Record<ProtocolDoc['name'], Readonly<Record<string, readonly string[]>>>> = {
  signaling: {
    register: [
      ...['INVALID_MESSAGE', 'INVALID_PUBLIC_KEY', 'INVALID_PROOF', 'CLIENT_ID_TAKEN'],
      ...['CHALLENGE_REQUIRED', 'CHALLENGE_EXPIRED']
    ],
    challenge: ['INVALID_MESSAGE'],
    message: ['INVALID_MESSAGE', 'INTERNAL_ERROR'],
    request_public_key: ['PEER_NOT_FOUND']
  },
  l2ps: {
    register: ['INVALID_MESSAGE', 'INVALID_PROOF', 'L2PS_NOT_FOUND', 'RATE_LIMITED'],
    send: ['INVALID_MESSAGE', 'L2PS_SUBMIT_FAILED', 'RATE_LIMITED'],
    history: ['INVALID_MESSAGE', 'INVALID_PROOF', 'RATE_LIMITED']
  }
}
const SHAPE_REFUSALS: Readonly<Record<ProtocolDoc['name'], Readonly<Record<string, readonly string[]>>>> = {
  signaling: { register: ['INVALID_PUBLIC_KEY', 'INVALID_PROOF'] },
  l2ps: {}
}

const INVALID = 'INVALID_MESSAGE'

/** `isRegistered`: false also where it is not known whether the socket is. */
export function expectationOf(
  protocol: ProtocolDoc['name'],
  data: string | Uint8Array,
  isRegistered: boolean
): Expectation {
  if (typeof data !== 'string') {
    return { allowed: new Set([INVALID]), isOptional: false, requestId: undefined, text: '(binary)' }
  }
  const isTooLarge = Buffer.byteLength(data) > MAX_FRAME_BYTES
  const frame = asObject(parseJson(data)?.value)
  const { type, payload, requestId } = frame ?? {}
  const rules = typeof type === 'string' && payload && !isTooLarge ? RULES.get(protocol)!.get(type) : undefined
  const id = protocol === 'l2ps' ? (isTooLarge ? null : echoable(requestId)) : undefined
  const common = { requestId: id, text: data }
  const stranger = isRegistered ? [] : ['REGISTRATION_REQUIRED']
  if (rules === undefined) return { ...common, allowed: new Set([INVALID]), isOptional: false }
  const name = String(type)
  if (!rules.check.Check(payload)) {
    const refusals = SHAPE_REFUSALS[protocol][name] ?? []
    return { ...common, allowed: new Set([INVALID, ...refusals, ...stranger]), isOptional: false }
  }
  const allowed = new Set([...rules.answers, ...(REFUSALS[protocol][name] ?? []), ...stranger])
  return { ...common, allowed, isOptional: rules.answers.length === 0 || isUnansweredMessage(protocol, name, payload) }
}

/** In signaling a message to a peer that is connected has no answer; nobody is ever called `absent-…`. */
function isUnansweredMessage(protocol: ProtocolDoc['name'], type: string, payload: unknown): boolean {
  return protocol === 'signaling' && type === 'message' && !/^absent-/.test((payload as { targetId: string }).targetId)
}
