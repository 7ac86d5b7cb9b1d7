import { PROTOCOLS } from '../../docs/frames.ts'
import type { RelayMetrics } from '../metrics.ts'
import { type ProtocolName, UNKNOWN_TYPE } from './catalogue.ts'

/** Counts a received frame by its type; undefined, and what is no type of the protocol, count as unknown. */
export type CountFrame = (type: unknown) => void

export function frameCounter({ framesReceived }: RelayMetrics, protocol: ProtocolName): CountFrame {
  const frames = PROTOCOLS.find(({ name }) => name === protocol)!.clientFrames
  const counts = new Map<unknown, { inc(): void }>(
    frames.map(({ frame: { type } }) => [type, framesReceived.at({ protocol, type })])
  )
  const unknown = framesReceived.at({ protocol, type: UNKNOWN_TYPE })
  return (type) => (counts.get(type) ?? unknown).inc()
}
