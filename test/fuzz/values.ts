// Values of a JSON schema, and values that are nearly of it.
import type { Random } from './random.ts'

export interface JsonSchema {
  readonly type?: string | readonly string[]
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly JsonSchema[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly items?: JsonSchema
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly maxItems?: number
  readonly contentEncoding?: string
}

/** Values for members of a name, better than any that fits the schema: ids that exist, keys that somebody has. */
export type Pools = Readonly<Record<string, (random: Random) => unknown>>

const HOSTILE_TEXTS = [
  ...['', ' ', '__proto__', 'constructor', 'toString', 'null', '\u0000', '\ud800', '\udfff\ud800', '\ufeff', '😀'],
  ...["'; drop table identity; --", '../../etc/passwd', '%00', '\r\n', '{"a":1}', 'é'.repeat(256), 'x'.repeat(257)]
]
const HOSTILE_NUMBERS = [0, -1, 0.5, 1e308, -1e-308, 2 ** 31, 2 ** 53, -(2 ** 63), Number.MAX_SAFE_INTEGER]

/** Text near a length, in one alphabet or several. */
export function textOf(random: Random, length: number): string {
  if (random.oneIn(8)) return random.pick(HOSTILE_TEXTS)
  const alphabet = random.pick(['0123456789abcdef', 'ABCabc-_.:/+= ', 'aé漢😀"\\\n'])
  const characters = [...alphabet]
  return Array.from({ length }, () => random.pick(characters)).join('')
}

/** Any JSON value. */
export function anything(random: Random, depth = 3): unknown {
  const kind = random.below(depth > 0 ? 8 : 5)
  if (kind === 0) return random.pick([null, true, false])
  if (kind === 1) return random.pick(HOSTILE_NUMBERS)
  if (kind === 2) return random.below(1_000)
  if (kind <= 4) return textOf(random, random.below(12))
  const length = random.below(4)
  if (kind === 5) return Array.from({ length }, () => anything(random, depth - 1))
  return objectOf(Array.from({ length }, () => [textOf(random, random.below(6)), anything(random, depth - 1)]))
}

/** `Object.fromEntries`, for a member `__proto__` too. */
function objectOf(members: readonly (readonly [string, unknown])[]): Record<string, unknown> {
  const made = {}
  for (const [name, value] of members) set(made, name, value)
  return made
}

export function madeFor(schema: JsonSchema, random: Random, pools: Pools, name = ''): unknown {
  const pool = Object.hasOwn(pools, name) ? pools[name] : undefined
  if (pool !== undefined && !random.oneIn(30)) return pool(random)
  if (schema.const !== undefined) return schema.const
  if (schema.enum !== undefined) return random.pick(schema.enum)
  if (schema.anyOf !== undefined) return madeFor(random.pick(schema.anyOf), random, pools)
  const type = typeof schema.type === 'object' ? random.pick(schema.type) : schema.type
  switch (type) {
    case 'object':
      return members(schema, random, pools)
    case 'array':
      return Array.from({ length: Math.min(random.below(5), schema.maxItems ?? 5) }, () =>
        madeFor(schema.items ?? {}, random, pools)
      )
    case 'string':
      return stringOf(schema, random)
    case 'integer':
    case 'number':
      return numberOf(schema, random)
    case 'boolean':
      return random.oneIn(2)
    case 'null':
      return null
    default:
      return anything(random)
  }
}

function members({ properties = {}, required = [] }: JsonSchema, random: Random, pools: Pools) {
  const wanted = Object.entries(properties).filter(([name]) => required.includes(name) || random.oneIn(2))
  return objectOf(wanted.map(([name, schema]) => [name, madeFor(schema, random, pools, name)]))
}

function stringOf({ minLength = 0, maxLength = 1_000, contentEncoding }: JsonSchema, random: Random): string {
  const usual = minLength + random.below(Math.max(1, Math.min(24, maxLength - minLength + 1)))
  const length = random.oneIn(20) ? random.pick([minLength, Math.min(maxLength, 9_000)]) : usual
  if (contentEncoding === 'base64') return Buffer.from(random.bytes(Math.floor((length * 3) / 4))).toString('base64')
  return random.hex(length)
}

function numberOf({ minimum = -10, maximum = 1_000_000 }: JsonSchema, random: Random): number {
  if (random.oneIn(4)) return random.pick([minimum, maximum])
  return minimum + random.below(Math.min(maximum - minimum + 1, 1_000_000))
}

/** Changes one place of a value, at any depth. */
export function mutate(random: Random, value: object): void {
  let place = value as Record<string, unknown>
  for (;;) {
    const names = Object.keys(place)
    if (names.length === 0) break
    const name = random.pick(names)
    const inner = place[name]
    if (typeof inner !== 'object' || inner === null || random.oneIn(4)) {
      change(random, place, name)
      return
    }
    place = inner as Record<string, unknown>
  }
  addMember(random, place)
}

function change(random: Random, place: Record<string, unknown>, name: string): void {
  const old = place[name]
  const kind = random.below(6)
  if (kind === 0 && !Array.isArray(place)) delete place[name]
  else if (kind === 1) set(place, name, anything(random))
  else if (kind === 2) set(place, name, [old])
  else if (kind === 3) addMember(random, place)
  else set(place, name, near(random, old))
}

function addMember(random: Random, place: Record<string, unknown>): void {
  if (Array.isArray(place)) place.push(anything(random))
  else set(place, textOf(random, 3), anything(random))
}

function near(random: Random, value: unknown): unknown {
  if (typeof value === 'number')
    return random.pick([value + 1, value - 1, -value, value + 0.5, value * 1e6, `${value}`])
  if (typeof value !== 'string') return anything(random)
  const at = random.below(value.length + 1)
  const [head, tail] = [value.slice(0, at), value.slice(at)]
  return random.pick([
    ...[head, tail, `${head}${textOf(random, 1)}${tail}`, `${head}${tail.slice(1)}`],
    ...[value.toUpperCase(), ` ${value}`, value + value, value.replace(/[0-9a-z]/, 'Z')]
  ])
}

function set(place: object, name: string, value: unknown): void {
  Object.defineProperty(place, name, { value, enumerable: true, configurable: true, writable: true })
}

/** Changes the text of a frame, without regard for its grammar. */
export function mangle(random: Random, text: string): string {
  const at = random.below(text.length + 1)
  const to = Math.min(text.length, at + random.below(6))
  const [head, middle, tail] = [text.slice(0, at), text.slice(at, to), text.slice(to)]
  return random.pick([
    ...[head, head + tail, head + middle + middle + tail, head + textOf(random, 2) + tail, text + text],
    ...[`${head}{${tail}`, `${head}"${tail}`, `${head},${tail}`, ` ${text}\n`, `[${text}]`, `${text}\u0000`],
    ...[text.replace('{', '{"type":"discover",'), text.replace('"payload":', '"payload":{},"payload":')]
  ])
}
