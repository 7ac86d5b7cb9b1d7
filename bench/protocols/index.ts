import { l2ps } from './l2ps.ts'
import type { Protocol, ProtocolName } from './protocol.ts'
import { signaling } from './signaling.ts'

const PROTOCOLS: Readonly<Record<ProtocolName, Protocol>> = { signaling, l2ps }

export const protocolNamed = (name: ProtocolName): Protocol => PROTOCOLS[name]
