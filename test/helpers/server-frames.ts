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

/** Fails the test that is running when the server sends anything else. */
export function checkServerFrames(line: Line, protocol: ProtocolDoc['name']): void {
  line.ws.on('message', (data) => {
    const frame = JSON.parse(String(data))
    const check = CHECKS.get(protocol)!.get(frame.type)
    const fault = check === undefined ? 'unknown type' : check.Errors(frame).First()
    if (fault === undefined) return
    const words = typeof fault === 'string' ? fault : `${fault.path}: ${fault.message}`
    throw new Error(`the server sent what no document promises (${words}): ${String(data).slice(0, 300)}`)
  })
}
