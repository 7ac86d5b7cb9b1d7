// Holds every frame of a run against the schemas of the protocol.
import { type TSchema, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { PROTOCOLS } from '../protocol/frames.ts'
import { faultInWords } from '../util/schema-words.ts'
import type { Said } from './connection.ts'
import type { Protocol } from './rule.ts'

/** Members that the schemas do not name are tolerated. */
export class Shapes {
  readonly #checks: ReadonlyMap<unknown, ReturnType<typeof TypeCompiler.Compile>>
  /** What is wrong, in words, and the first frame that shows it. */
  readonly faults = new Map<string, Said>()

  constructor(protocol: Protocol) {
    const { serverFrames, hasRequestIds } = PROTOCOLS.find(({ name }) => name === protocol)!
    const fields = hasRequestIds ? { timestamp: Type.Integer() } : {}
    this.#checks = new Map(
      serverFrames.map(({ type, payload }) => {
        const open: TSchema = { ...payload, additionalProperties: true }
        return [type, TypeCompiler.Compile(Type.Object({ payload: open, ...fields }))]
      })
    )
  }

  /** Whatever the text is: a server under test may send anything. */
  check(text: string): void {
    const fault = this.#faultIn(text)
    if (fault === undefined || this.faults.has(fault)) return
    this.faults.set(fault, { peer: 'server', direction: 'received', text: text.slice(0, 400) })
  }

  #faultIn(text: string): string | undefined {
    let frame: unknown
    try {
      frame = JSON.parse(text)
    } catch {
      return 'a frame is not JSON'
    }
    const { type } = (frame ?? {}) as { type?: unknown }
    const check = this.#checks.get(type)
    if (check === undefined) return typeof type === 'string' ? `unknown type ${type}` : 'a frame has no type'
    const error = check.Errors(frame).First()
    return error && `${type}: ${faultInWords(error, 'the frame')}`
  }
}
