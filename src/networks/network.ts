// An L2PS network, and the file that configures one.
import { type Static, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { peerKeyOf } from '../protocol/peer-key.ts'
import type { StoredNetwork } from '../store/l2ps-network.ts'
import { faultInWords } from '../util/schema-words.ts'

/** One L2PS: the scope its peers and their messages never leave. */
export interface Network extends StoredNetwork {
  readonly source: 'file' | 'database'
}

/** What a network may be called (docs/protocol.md, 4.8: path traversal guard), as in migration 0003. */
export const NetworkUid = Type.String({
  pattern: '^[A-Za-z0-9_-]{1,128}$',
  'x-allowed': '1 to 128 letters, digits, - and _'
})

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

/** Why a network's configuration is refused: a sentence fit for strangers, without values. */
export class InvalidConfig extends Error {
  override name = 'InvalidConfig'
}

const Path = Type.String({
  ...{ minLength: 1, maxLength: 4_096, pattern: '^[^\\u0000]+$' },
  'x-allowed': 'a path of 1 to 4096 characters, without NUL'
})

/**
 * `config.json` of a network (docs/protocol.md, 4.8). Members that are not named here are tolerated: nodes use them.
 * The key files are never opened for what is in them: this server relays what it cannot read.
 */
const NetworkConfig = Type.Object({
  uid: NetworkUid,
  name: Type.Optional(Type.String({ maxLength: 256 })),
  description: Type.Optional(Type.String({ maxLength: 4_096 })),
  enabled: Type.Boolean({ description: 'May peers join?' }),
  audit_public: Type.Optional(Type.Boolean({ description: 'Are its audit records for everybody? Default: no.' })),
  members: Type.Optional(
    Type.Array(Type.String(), { description: 'Keys in hex that may join, nobody else. Without it: any key.' })
  ),
  keys: Type.Optional(
    Type.Object({ private_key_path: Type.Optional(Path), iv_path: Type.Optional(Path) }, { description: 'Optional.' })
  )
})

export interface CheckedConfig {
  readonly network: Network
  /** Paths of key files as they are written. */
  readonly keyPaths: readonly { readonly field: string; readonly path: string }[]
}

const check = TypeCompiler.Compile(NetworkConfig)

/** The network that the configuration in a directory defines. Throws `InvalidConfig`. */
export function checkConfig(text: string, directoryName: string): CheckedConfig {
  const config = parse(text)
  if (config.uid !== directoryName) throw new InvalidConfig('uid is not the name of its directory')
  const { uid, name, description, enabled, keys } = config
  const network: Network = {
    ...{ uid, name, description, enabled, members: membersIn(config), source: 'file' },
    auditPublic: config.audit_public ?? false
  }
  const keyPaths = (['private_key_path', 'iv_path'] as const).flatMap((field) => {
    const path = keys?.[field]
    return path === undefined ? [] : [{ field: `keys/${field}`, path }]
  })
  return { network, keyPaths }
}

function parse(text: string): Static<typeof NetworkConfig> {
  let value: unknown
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch {
    throw new InvalidConfig('not JSON') // the parser's own words would cite the file
  }
  if (check.Check(value)) return value
  const error = check.Errors(value).First()
  throw new InvalidConfig(error === undefined ? 'config is wrong' : faultInWords(error, 'config'))
}

function membersIn({ members }: Static<typeof NetworkConfig>): ReadonlySet<string> | undefined {
  return (
    members &&
    new Set(
      members.map((member, index) => {
        const key = peerKeyOf(member.replace(/^0x/i, ''))
        if (key === undefined) throw new InvalidConfig(`members/${index}: not a key of 64, 1794 or 3904 hex digits`)
        return key.address
      })
    )
  )
}

/** Is this what a key file holds? White space and 0x are tolerated, as by nodes. */
export const isHexText = (text: string): boolean =>
  /^(?:[0-9a-f]{2})+$/i.test(text.replace(/\s+/g, '').replace(/^0x/i, ''))
