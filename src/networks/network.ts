import { Type } from '@sinclair/typebox'

/** One L2PS: the scope its peers and their messages never leave. */
export interface Network {
  readonly uid: string
  readonly name: string | undefined
  readonly description: string | undefined
  /** Nobody joins a disabled network; for a stranger it does not exist. */
  readonly enabled: boolean
  /** Addresses of the peers that may join (see PeerKey); undefined: open to any key, empty: to nobody. */
  readonly members: ReadonlySet<string> | undefined
  /** Are its audit records for everybody? */
  readonly auditPublic: boolean
  readonly source: 'file' | 'database'
}

/** What a network may be called (L2PS messaging, 4.8: path traversal guard), as in migration 0003. */
export const NetworkUid = Type.String({ pattern: '^[A-Za-z0-9_-]{1,128}$' })

/** Names of scopes that are no L2PS network, as in migration 0003. */
const RESERVED: ReadonlySet<string> = new Set(['signaling', 'anchors'])
const UID = new RegExp(NetworkUid.pattern!)

export const isNetworkUid = (uid: string): boolean => UID.test(uid) && !RESERVED.has(uid)

export function sameNetwork(a: Network | undefined, b: Network | undefined): boolean {
  if (a === undefined || b === undefined || a === b) return a === b
  const { members, ...facts } = a
  return (
    Object.entries(facts).every(([fact, value]) => b[fact as keyof Network] === value) && sameSet(members, b.members)
  )
}

function sameSet(a: ReadonlySet<string> | undefined, b: ReadonlySet<string> | undefined): boolean {
  if (a === undefined || b === undefined || a === b) return a === b
  return a.size === b.size && [...a].every((entry) => b.has(entry))
}
