/** Deepest nesting of an opaque JSON value that is relayed. */
export const MAX_OPAQUE_DEPTH = 64
/** Most values (members, elements, leaves) inside an opaque JSON value that is relayed. */
export const MAX_OPAQUE_VALUES = 10_000

/**
 * Why an opaque JSON value cannot be passed on unchanged, or undefined when it can: too deep, too many values, or a
 * number outside the range of a double (it would arrive as null). Walks with a stack of its own, so depth costs no calls.
 */
export function opaqueFault(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return leafFault(value)
  let level: object[] = [value]
  let values = 1
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > MAX_OPAQUE_DEPTH) return `nested deeper than ${MAX_OPAQUE_DEPTH} levels`
    const next: object[] = []
    for (const parent of level) {
      for (const child of Object.values(parent)) {
        if (++values > MAX_OPAQUE_VALUES) return `more than ${MAX_OPAQUE_VALUES} values`
        if (typeof child === 'object' && child !== null) next.push(child)
        else if (typeof child === 'number' && !Number.isFinite(child)) return leafFault(child)
      }
    }
    level = next
  }
  return undefined
}

function leafFault(value: unknown): string | undefined {
  return typeof value === 'number' && !Number.isFinite(value) ? 'a number out of range' : undefined
}
