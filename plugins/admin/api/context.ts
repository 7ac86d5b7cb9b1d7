import type { Database } from '../../../src/database/database.ts'
import type { IdentityCache } from '../../../src/identity/identity-cache.ts'
import type { NetworkRegistry } from '../../../src/networks/registry.ts'
import type { Presence } from '../../../src/presence/registry.ts'
import { SIGNALING_NETWORK } from '../../../src/protocol/signaling.ts'
import type { Turns } from '../../../src/util/keyed-mutex.ts'

/** What administration works with. */
export interface AdminContext {
  readonly database: Database
  readonly presence: Presence
  readonly identities: IdentityCache
  readonly nameTurns: Turns
  /** Undefined: L2PS messaging is turned off. */
  readonly networks: NetworkRegistry | undefined
  /** How long a message that is queued again may wait, in ms. */
  readonly ttlMs: number
  /** Milliseconds since 1970. */
  readonly now: () => number
}

/** Is this a network peers can be in, or could lately? */
export const isKnownNetwork = ({ networks }: AdminContext, network: string): boolean =>
  network === SIGNALING_NETWORK || networks?.find(network) !== undefined

/** A peer as the database calls it: addresses in L2PS networks are hex in lower case, whatever the spelling. */
export const addressIn = (network: string, peer: string): string =>
  network === SIGNALING_NETWORK ? peer : peer.toLowerCase()
