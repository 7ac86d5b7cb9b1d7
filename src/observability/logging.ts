import { type DestinationStream, type Logger, type LoggerOptions, pino, stdSerializers } from 'pino'
import pretty from 'pino-pretty'
import type { Config } from '../config/schema.ts'
import { escapeUnseen } from '../util/visible.ts'

export interface LogTarget {
  /** A terminal gets readable lines, anything else JSON. */
  terminal: boolean
  colours: boolean
  /** Where lines go instead of standard output: tests listen here. */
  stream?: DestinationStream
}

/**
 * The logger of the whole server. Lines are written at once, so the last words before an exit are not lost.
 * No proof, ciphertext, token or URL password is ever written: fields are hidden by name, and the finished line is
 * searched for patterns.
 */
export function createLogger({ LOG_LEVEL }: Pick<Config, 'LOG_LEVEL'>, target: LogTarget): Logger {
  const options: LoggerOptions = {
    level: LOG_LEVEL,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { err: (described) => described }, // withoutSecrets has described it already
    formatters: {
      level: (label) => ({ level: label }),
      log: (fields) => withoutSecrets(fields) as Record<string, unknown>
    },
    hooks: { streamWrite: scrub }
  }
  const stream = target.terminal ? readable(target) : target.stream
  return stream ? pino(options, stream) : pino(options)
}

function readable({ colours, stream = process.stdout }: LogTarget): DestinationStream {
  const options = { colorize: colours, translateTime: 'SYS:HH:MM:ss', ignore: 'pid,hostname' }
  const lines = pretty.prettyFactory(options)
  return { write: (line) => void stream.write(forTerminal(lines(line))) }
}

const COLOUR = /(\u001b\[\d+m)/

/** Names of peers are in it, and words of others: of what a terminal obeys, only colours and ends of lines are kept. */
function forTerminal(text: string): string {
  const parts = text.split(COLOUR)
  return parts.map((part, at) => (at % 2 === 1 ? part : escapeUnseen(part, '\n'))).join('')
}

const HIDDEN = '[hidden]'

/** Names, in lower case without - and _, whose values are never written: fields of frames, headers, settings. */
const SECRET_NAMES = new Set([
  ...['ciphertext', 'encrypted', 'sealed', 'message', 'body', 'nonce'],
  ...['proof', 'signature', 'signeddata', 'verification', 'privatekey', 'secret', 'seed'],
  ...['token', 'admintoken', 'authorization', 'cookie', 'setcookie', 'password', 'databaseurl']
])

const isSecret = (name: string): boolean => SECRET_NAMES.has(name.toLowerCase().replace(/[-_]/g, ''))

const MAX_DEPTH = 6

/** A copy that hides values under secret names, only counts bytes, and describes errors without the rows they cite. */
function withoutSecrets(value: unknown, depth = 0): unknown {
  if (value instanceof Error) return describeError(value)
  if (value instanceof Uint8Array) return `[${value.byteLength} bytes]`
  if (!Array.isArray(value) && !isPlainObject(value)) return value
  if (depth === MAX_DEPTH) return HIDDEN
  if (Array.isArray(value)) return value.map((item) => withoutSecrets(item, depth + 1))
  const entries = Object.entries(value)
  return Object.fromEntries(
    entries.map(([name, inner]) => [name, isSecret(name) ? HIDDEN : withoutSecrets(inner, depth + 1)])
  )
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** The fields that are logged of a system or PostgreSQL error. Not `detail` and `where`: they repeat values of rows. */
const ERROR_FACTS = ['code', 'syscall', 'severity', 'schema_name', 'table_name', 'constraint_name'] as const

function describeError(error: Error): Record<string, unknown> {
  const { type, message, stack } = stdSerializers.err(error) // with the words of its causes
  const known = error as Error & Record<string, unknown>
  const facts = ERROR_FACTS.filter((fact) => known[fact] !== undefined).map((fact) => [fact, known[fact]])
  return { type, message, stack, ...Object.fromEntries(facts) }
}

/** The patterns that are hidden in every line before it is written. */
const SCRUBBERS: [RegExp, string | ((run: string) => string)][] = [
  [/(:\/\/[^\s:/@"]*):[^\s"]*@/g, `$1:${HIDDEN}@`],
  [/((?:\w*token|password|secret|proof)=)[^&\s"]+/gi, `$1${HIDDEN}`],
  [/(bearer )[^\s"\\]+/gi, `$1${HIDDEN}`],
  // "message" is the text of an error here, so it is only hidden by name, before.
  [secretTexts([...SECRET_NAMES].filter((name) => name !== 'message')), `$1"${HIDDEN}"`],
  // Longer than any key or hash we write (64), as signatures and ciphertexts are in hex, base64 or base64url.
  [/[\w+/=-]{200,}|[\w+=-]{86,}/g, (run) => `[${run.length} characters]`]
]

function secretTexts(names: string[]): RegExp {
  return new RegExp(`("(?:${names.join('|')})":)"(?:[^"\\\\]|\\\\.)*"`, 'gi')
}

/** JSON escapes only the controls of ASCII: the others are written as its escapes as well, which changes no value. */
function scrub(line: string): string {
  const hidden = SCRUBBERS.reduce((text, [pattern, instead]) => text.replace(pattern, instead as string), line)
  return escapeUnseen(hidden, '\n')
}
