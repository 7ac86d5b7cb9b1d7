/**
 * How columns and parameters travel beyond what postgres.js knows by itself. It would ask each new connection for the
 * array types (`fetch_types`), but a connection lost during that question is an unhandled rejection (porsager/postgres
 * issue 1193), so the ones we use are listed here. Numbers: pg_type.oid, pg_type.typarray.
 */
const ARRAYS: readonly { element: number; array: number; parse?: (text: string) => unknown }[] = [
  { element: 16, array: 1000, parse: (text) => text === 't' }, // boolean
  { element: 17, array: 1001, parse: (text) => Buffer.from(text.slice(2), 'hex') }, // bytea
  { element: 20, array: 1016, parse: Number }, // bigint
  { element: 23, array: 1007, parse: Number }, // integer
  { element: 25, array: 1009 }, // text
  { element: 701, array: 1022, parse: Number }, // double precision
  { element: 1184, array: 1185, parse: (text) => new Date(text) }, // timestamptz
  { element: 2950, array: 2951 } // uuid
]

/** Element type → array type, for `sql.array()`. */
export const ARRAY_TYPE_OF: Readonly<Record<number, number>> = Object.fromEntries(
  ARRAYS.map(({ element, array }) => [element, array])
)

/** The `types` option of postgres.js. A bigint becomes a number: ours are milliseconds and sequence numbers, below 2^53. */
export const COLUMN_TYPES = {
  bigint: { to: 20, from: [20], parse: Number, serialize: String },
  ...Object.fromEntries(
    ARRAYS.map(({ array, parse }) => [
      `array${array}`,
      { to: array, from: [array], parse: (text: string) => readArray(text, parse), serialize: writeArray }
    ])
  )
} as { bigint: { to: number; from: number[]; parse: typeof Number; serialize: typeof String } }

/** PostgreSQL "Array Input and Output Syntax", one dimension. A text that is an array literal already passes as it is. */
function writeArray(values: unknown): unknown {
  return Array.isArray(values) ? `{${values.map(writeElement).join(',')}}` : values
}

function writeElement(value: unknown): string {
  if (value === null || value === undefined) return 'null'
  if (value instanceof Uint8Array) return `"\\\\x${Buffer.from(value).toString('hex')}"`
  if (value instanceof Date) return value.toISOString()
  if (typeof value === 'string') return writeText(value)
  return String(value)
}

/** Sealed bodies are long texts with few quotes and hardly ever a backslash: replacing plain text is faster than a pattern. */
function writeText(text: string): string {
  const escaped = text.includes('\\') ? text.replaceAll('\\', '\\\\') : text
  return `"${escaped.replaceAll('"', '\\"')}"`
}

function readArray(text: string, parse: (text: string) => unknown = (same) => same): unknown[] {
  // Either a quoted element with its escapes, or a bare one up to the next comma.
  const elements = text.slice(1, -1).matchAll(/"((?:[^"\\]|\\.)*)"|([^,]+)/gs)
  return Array.from(elements, ([, quoted, bare]) => {
    if (quoted !== undefined) return parse(quoted.replace(/\\(.)/gs, '$1'))
    return bare === 'NULL' ? null : parse(bare ?? '')
  })
}
