// What every frame has.

export interface Frame {
  type: string
  payload: Record<string, unknown>
}

/** The frame, if it is one: an object with a type and a payload that can be looked into. */
export function readFrame(value: unknown): Frame | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { type, payload } = value as Partial<Frame>
  if (typeof type !== 'string' || typeof payload !== 'object' || payload === null) return undefined
  return { type, payload }
}
