import { PROTOCOLS } from '../../protocol/frames.ts'
import type { RelayMetrics } from '../metrics.ts'
import { type ProtocolName, UNKNOWN_TYPE } from './catalogue.ts'
import type { Counter } from './metric.ts'

/** Counts a received frame by its type. A type that is missing or not one of the protocol's counts as unknown. */
export type CountFrame = (type: unknown) => void

export function frameCounter({ framesReceived }: RelayMetrics, protocol: ProtocolName): CountFrame {
  const frames = PROTOCOLS.find(({ name }) => name === protocol)!.clientFrames
  const counters = new Map<unknown, Counter>(
    frames.map(({ frame: { type } }) => [type, framesReceived.at({ protocol, type })])
  )
  const unknown = framesReceived.at({ protocol, type: UNKNOWN_TYPE })
  return (type) => (counters.get(type) ?? unknown).inc()
}
