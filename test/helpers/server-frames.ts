// Every frame that any test peer hears is one the documents promise.
import { type TSchema, Type } from '@sinclair/typebox'
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler'
import { PROTOCOLS, type ProtocolDoc } from '../../src/protocol/frames.ts'
import type { Line } from './inbox.ts'

const CHECKS = new Map(PROTOCOLS.map((protocol) => [protocol.name, checksOf(protocol)]))

function checksOf({ serverFrames, hasRequestIds }: ProtocolDoc): Map<string, TypeCheck<TSchema>> {
  const fields = hasRequestIds ? { timestamp: Type.Integer(), requestId: Type.Optional(Type.String()) } : {}
  return new Map(
    serverFrames.map(({ type, payload }) => {
      const frame = Type.Object({ type: Type.Literal(type), payload, ...fields }, { additionalProperties: false })
      return [type, TypeCompiler.Compile<TSchema>(frame)]
    })
  )
}

/** Why a frame is none that the server may send; undefined: it is one. */
export function faultOf(protocol: ProtocolDoc['name'], frame: { readonly type: string }): string | undefined {
  const check = CHECKS.get(protocol)!.get(frame.type)
  if (check === undefined) return 'unknown type'
  if (check.Check(frame)) return undefined
  const { path, message } = check.Errors(frame).First()!
  return `${path}: ${message}`
}

/** Fails the test that is running when the server sends anything else. */
export function checkServerFrames(line: Line, protocol: ProtocolDoc['name']): void {
  line.ws.on('message', (data) => {
    const fault = faultOf(protocol, JSON.parse(String(data)))
    if (fault === undefined) return
    throw new Error(`the server sent what no document promises (${fault}): ${String(data).slice(0, 300)}`)
  })
}
