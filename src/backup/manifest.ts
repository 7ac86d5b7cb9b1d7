// The manifest of a backup: the last file that is written, and the first one that is read.
import { createHash } from 'node:crypto'
import { type Static, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { faultInWords } from '../util/schema-words.ts'

export const MANIFEST = 'manifest.json'
/** Increased when older versions cannot restore the backups of newer ones. */
const FORMAT = 1

const Sha256 = Type.String({ pattern: '^[0-9a-f]{64}$', 'x-allowed': '64 hexadecimal digits' })
/** Below the backup's directory, with slashes; never above it. */
const Path = Type.String({
  pattern: '^(?!/)(?!.*(^|/)\\.\\.?(/|$))(?!.*\\\\)[^\\0]+$',
  maxLength: 4_096,
  'x-allowed': 'a path below the backup'
})

const Manifest = Type.Object(
  {
    format: Type.Literal(FORMAT),
    /** dump: made by pg_dump. cluster: the files of the embedded database. */
    kind: Type.Union([Type.Literal('dump'), Type.Literal('cluster')]),
    createdAt: Type.String(),
    demosRelay: Type.String(),
    /** The newest migration the database has. */
    schema: Type.Integer({ minimum: 0 }),
    /** Major versions of the server, and of the program that wrote the dump. */
    postgres: Type.Object({ server: Type.Integer(), dumpedBy: Type.Optional(Type.Integer()) }),
    /** Files of a cluster are for machines like this one. */
    platform: Type.String(),
    /** The verifier key line of the node key; null: there was none. */
    verifier: Type.Union([Type.String(), Type.Null()]),
    directories: Type.Array(Path),
    parts: Type.Array(Type.Object({ path: Path, bytes: Type.Integer({ minimum: 0 }), sha256: Sha256 }))
  },
  { additionalProperties: false }
)
export type Manifest = Static<typeof Manifest>
export type Part = Manifest['parts'][number]
export type Facts = Omit<Manifest, 'format'>

export const PLATFORM = `${process.platform}-${process.arch}`

/** The text of the manifest: its own SHA-256 in the last line, so that a change of any bit is noticed. */
export function manifestText(facts: Facts): string {
  const body = `${JSON.stringify({ format: FORMAT, ...facts }, undefined, 1)}\n`
  return `${body}${sha256(body)}\n`
}

/** Reads a manifest. Throws with a sentence on one that is damaged, or of a format we do not know. */
export function parseManifest(text: string): Manifest {
  const [, body = '', digest] = /^(.*\n)([0-9a-f]{64})\n$/s.exec(text) ?? []
  if (digest !== sha256(body)) throw new Error(`${MANIFEST} is damaged: its last line is not the SHA-256 of the rest`)
  const manifest: unknown = JSON.parse(body)
  const { format } = manifest as { format?: unknown }
  if (format !== FORMAT) {
    throw new Error(
      `the backup has format ${String(format)}, this demos-relay knows ${FORMAT}: use the version that made it`
    )
  }
  if (Value.Check(Manifest, manifest)) return manifest
  const fault = Value.Errors(Manifest, manifest).First()
  throw new Error(`${MANIFEST} is not of its format: ${fault === undefined ? 'unreadable' : faultInWords(fault, 'it')}`)
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
