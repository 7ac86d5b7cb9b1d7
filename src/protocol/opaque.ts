/** Deepest nesting of an opaque JSON value that is relayed. */
const MAX_OPAQUE_DEPTH = 64
/** Most values (members, elements, leaves) inside an opaque JSON value that is relayed. */
export const MAX_OPAQUE_VALUES = 10_000

/**
 * Why an opaque JSON value is not relayed, or undefined when it is: too deep, or too many values, for what its recipient
 * may be able to read. Walks with a stack of its own, so depth costs no calls.
 */
export function opaqueFault(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  let level: object[] = [value]
  let values = 1
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > MAX_OPAQUE_DEPTH) return `nested deeper than ${MAX_OPAQUE_DEPTH} levels`
    const next: object[] = []
    for (const parent of level) {
      for (const child of Object.values(parent)) {
        if (++values > MAX_OPAQUE_VALUES) return `more than ${MAX_OPAQUE_VALUES} values`
        if (typeof child === 'object' && child !== null) next.push(child)
      }
    }
    level = next
  }
  return undefined
}
