import type { Protocol, ProtocolName } from './protocol.ts'
import { signaling } from './signaling.ts'

export const PROTOCOLS: Readonly<Partial<Record<ProtocolName, Protocol>>> = { signaling }

export function protocolNamed(name: ProtocolName): Protocol {
  const protocol = PROTOCOLS[name]
  if (protocol === undefined) throw new Error(`The benchmark does not speak ${name} yet`)
  return protocol
}
