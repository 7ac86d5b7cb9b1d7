import { readFileSync } from 'node:fs'
import { FormatRegistry, type TSchema } from '@sinclair/typebox'
import type { Config } from './schema.ts'
import { allowedValues, fileVariable, SETTINGS, type Setting, type SettingValue } from './settings.ts'
import { misspelled } from './spelling.ts'
import { togetherMistakes } from './together.ts'

/** Variables by name, as `process.env` has them. An empty text counts as unset. */
export type Environment = Readonly<Record<string, string | undefined>>

/** Either a checked configuration, or every mistake at once; a line each, never with the value of a secret. */
export type ConfigReading =
  | { config: Config; mistakes?: never; warnings: string[] }
  | { config?: never; mistakes: string[]; warnings: string[] }

/**
 * Reads every setting from the environment and fills in the defaults.
 * A setting marked secret may instead come from the file that `<NAME>_FILE` names. Reads no other file, writes nothing.
 */
export function readConfig(env: Environment): ConfigReading {
  const values: Record<string, SettingValue> = {}
  const mistakes: string[] = []
  const warnings = misspelled(Object.keys(env))
  for (const setting of SETTINGS) {
    const outcome = readSetting(setting, env)
    if ('mistake' in outcome) mistakes.push(`${outcome.variable ?? setting.name} ${outcome.mistake}`)
    else if (outcome.value !== undefined) values[setting.name] = outcome.value
  }
  mistakes.push(...togetherMistakes(values))
  return mistakes.length > 0 ? { mistakes, warnings } : { config: values as Config, warnings }
}

/** The port the signaling door asks for first. RPC_SIGNALING_PORT wins. */
export function signalingPort(config: Pick<Config, 'RPC_SIGNALING_PORT' | 'SIGNALING_SERVER_PORT'>): number {
  return config.RPC_SIGNALING_PORT ?? config.SIGNALING_SERVER_PORT
}

type Outcome = { value: SettingValue | undefined } | { mistake: string; variable?: string }

function readSetting(setting: Setting, env: Environment): Outcome {
  const source = setting.secret ? secretText(setting, env) : { text: env[setting.name], variable: setting.name }
  if ('mistake' in source) return source
  const { text, variable } = source
  if (!text) return { value: setting.default }
  const value = convert(setting.schema, text)
  if (value !== undefined) return { value }
  return { variable, mistake: `must be ${allowedValues(setting)}${setting.secret ? '' : `, not ${quoted(text)}`}.` }
}

type SecretText = { text: string | undefined; variable: string } | { mistake: string; variable: string }

function secretText(setting: Setting, env: Environment): SecretText {
  const variable = fileVariable(setting)
  const path = env[variable]
  if (!path) return { text: env[setting.name], variable: setting.name }
  if (env[setting.name])
    return { variable, mistake: `must not be set together with ${setting.name}. Keep one of the two.` }
  try {
    const text = readFileSync(path, 'utf8').trim()
    return text ? { text, variable } : { variable, mistake: 'names an empty file.' }
  } catch (error) {
    const { code = 'unreadable' } = error as NodeJS.ErrnoException
    return { variable, mistake: `must name a readable file (${code}).` }
  }
}

const BOOLEANS = new Map([
  ['true', true],
  ['1', true],
  ['false', false],
  ['0', false]
])

/** The text as the schema's type, or undefined when it is not a value the schema allows. */
function convert(schema: TSchema, text: string): SettingValue | undefined {
  if (schema.type === 'integer') return integerWithin(schema, text)
  if (schema.type === 'boolean') return BOOLEANS.get(text.toLowerCase())
  if (schema.anyOf) return schema.anyOf.map((choice: TSchema) => choice.const).find((choice: string) => choice === text)
  return textWithin(schema, text)
}

/** Spaces around a text, or a carriage return after it, come from a slip in a file and are never meant. */
function textWithin({ pattern, format }: TSchema, text: string): string | undefined {
  if (text !== text.trim()) return undefined
  const fits = (!pattern || new RegExp(pattern).test(text)) && (!format || FormatRegistry.Get(format)!(text))
  return fits ? text : undefined
}

/** Only plain decimal digits: "1e3", "0x10" and " 5" are more often slips than intentions. */
function integerWithin({ minimum, maximum }: TSchema, text: string): number | undefined {
  if (!/^(0|-?[1-9]\d*)$/.test(text)) return undefined
  const number = Number(text)
  return number >= minimum && number <= maximum ? number : undefined
}

/** A wrong value as it may be repeated: short, and not at all when it could be a URL with a password. */
function quoted(text: string): string {
  if (text.includes('@') || text.includes('://')) return 'a URL or address'
  return JSON.stringify(text.length > 32 ? `${text.slice(0, 31)}…` : text)
}
