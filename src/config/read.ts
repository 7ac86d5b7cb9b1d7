// Reads the settings from the environment and checks them.
import { readFileSync } from 'node:fs'
import type { TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { closestMatch } from 'leven'
import { type Config, ConfigSchema } from './schema.ts'
import { readableSecrets } from './secret-files.ts'
import { allowedValues, fileVariable, SETTINGS, type Setting } from './settings.ts'

/** Variables by name, as `process.env` has them. An empty text counts as unset. */
export type Environment = Readonly<Record<string, string | undefined>>

/** Either a checked configuration, or every mistake at once; a line each, never with the value of a secret. */
export type ConfigReading =
  | { config: Config; mistakes?: never; warnings: string[] }
  | { config?: never; mistakes: string[]; warnings: string[] }

/**
 * Reads every setting from the environment and fills in the defaults.
 * A setting marked secret may instead come from the file that `<NAME>_FILE` names. Reads no other file, looks at
 * the permissions of those with secrets, and writes nothing.
 */
export function readConfig(env: Environment): ConfigReading {
  const values: Partial<Record<keyof Config, unknown>> = {}
  const mistakes: string[] = []
  const warnings = misspelled(Object.keys(env))
  for (const setting of SETTINGS) {
    const outcome = readSetting(setting, env)
    if ('value' in outcome) {
      if (outcome.value !== undefined) values[setting.name] = outcome.value
    } else if (isIgnored(setting, env[setting.name] ?? '')) {
      warnings.push(`${setting.name} is ignored: it ${outcome.mistake}`)
    } else mistakes.push(`${outcome.variable} ${outcome.mistake}`)
  }
  if (env.DATABASE_URL_FILE) values.DATABASE_URL_FILE = env.DATABASE_URL_FILE
  const config = Value.Default(ConfigSchema, values) as Config
  mistakes.push(...crossFieldMistakes(config))
  if (mistakes.length > 0) return { mistakes, warnings }
  return { config, warnings: [...warnings, ...readableSecrets(config, secretFiles(env))] }
}

/** The port of the signaling listener. RPC_SIGNALING_PORT wins. */
export function signalingPort(config: Pick<Config, 'RPC_SIGNALING_PORT' | 'SIGNALING_SERVER_PORT'>): number {
  return config.RPC_SIGNALING_PORT ?? config.SIGNALING_SERVER_PORT
}

/** A connection string, or what reads the file that holds it: it is read at each connect, since passwords change. */
export function databaseUrl({
  DATABASE_URL: url,
  DATABASE_URL_FILE: file
}: Pick<Config, 'DATABASE_URL' | 'DATABASE_URL_FILE'>): string | (() => string) | undefined {
  return file === undefined ? url : () => readFileSync(file, 'utf8').trim()
}

/** Kubernetes gives every container variables of every service, `NAME_PORT=tcp://10.0.0.1:80` among them. */
const isIgnored = ({ schema }: Setting, text: string): boolean =>
  schema.fallsBack === true || (schema.type === 'integer' && /^(tcp|udp|sctp):\/\//.test(text))

const secretFiles = (env: Environment): Record<string, string> =>
  Object.fromEntries(
    SETTINGS.filter(({ secret }) => secret).flatMap((setting) => {
      const variable = fileVariable(setting)
      return env[variable] ? [[variable, env[variable]]] : []
    })
  )

/** Whether the page on which people try the relay is served: unless PLAYGROUND says, on this machine alone. */
export function hasPlayground({ PLAYGROUND, HOST }: Pick<Config, 'PLAYGROUND' | 'HOST'>): boolean {
  return PLAYGROUND ?? (HOST === 'localhost' || HOST === '::1' || /^127(\.\d{1,3}){3}$/.test(HOST))
}

type Mistake = { variable: string; mistake: string }

function readSetting(setting: Setting, env: Environment): { value: unknown } | Mistake {
  const source = setting.secret ? secretText(setting, env) : { variable: setting.name, text: env[setting.name] }
  if ('mistake' in source) return source
  const { variable, text } = source
  if (!text) return { value: undefined }
  const value = Value.Convert(setting.schema, text)
  if (isPlain(setting.schema, text) && Value.Check(setting.schema, value)) return { value }
  return { variable, mistake: `must be ${allowedValues(setting)}${setting.secret ? '' : `, not ${quoted(text)}`}.` }
}

function secretText(setting: Setting, env: Environment): { variable: string; text: string | undefined } | Mistake {
  const variable = fileVariable(setting)
  const path = env[variable]
  if (!path) return { variable: setting.name, text: env[setting.name] }
  if (env[setting.name]) {
    return { variable, mistake: `must not be set together with ${setting.name}. Keep one of the two.` }
  }
  try {
    const text = readFileSync(path, 'utf8').trim()
    return text ? { variable, text } : { variable, mistake: 'names an empty file.' }
  } catch (error) {
    const { code = 'unreadable' } = error as NodeJS.ErrnoException
    return { variable, mistake: `must name a readable file (${code}).` }
  }
}

/** Refuses what Value.Convert would accept but is more often a typo: "1e3", "0x10", "5.0", and spaces around a text. */
const isPlain = ({ type }: TSchema, text: string): boolean =>
  type === 'integer' ? /^(0|-?[1-9]\d*)$/.test(text) : text === text.trim()

/** A wrong value as it may be repeated: short, and not at all when it could be a URL with a password. */
function quoted(text: string): string {
  if (text.includes('@') || text.includes('://')) return 'a URL or address'
  return JSON.stringify(text.length > 32 ? `${text.slice(0, 31)}…` : text)
}

/** Cross-field checks: settings that are valid one by one but not in combination. A line each. */
function crossFieldMistakes(config: Config): string[] {
  const mistakes: string[] = []
  if (config.ANCHOR === 'demos-rpc' && config.DEMOS_RPC_URL === undefined) {
    mistakes.push('DEMOS_RPC_URL must be set when ANCHOR is demos-rpc.')
  }
  if ((config.TLS_CERT_FILE === undefined) !== (config.TLS_KEY_FILE === undefined)) {
    mistakes.push('TLS_CERT_FILE and TLS_KEY_FILE must be set together.')
  }
  if (config.CLUSTER_NAME !== undefined) {
    const missing = NEEDED_IN_CLUSTER.filter((name) => config[name] === undefined)
    if (missing.length > 0)
      mistakes.push(`${missing.join(', ')} must be set when CLUSTER_NAME is set: all relays share them.`)
  } else if (config.NATS_URL !== undefined) {
    mistakes.push('CLUSTER_NAME must be set when NATS_URL is set.')
  }
  return mistakes
}

/** What the relays of a cluster have in common. */
const NEEDED_IN_CLUSTER = ['DATABASE_URL', 'ADMIN_TOKEN', 'NODE_KEY_FILE', 'AUDIT_ORIGIN'] as const

const KNOWN = SETTINGS.flatMap((setting) => (setting.secret ? [setting.name, fileVariable(setting)] : [setting.name]))

/** Names that platforms and other programs use. */
const OTHERS = /^(SSL_CERT_|PG|KUBERNETES_|NODE_|npm_)|_SERVICE_(HOST|PORT)|_PORT_\d+_/

/** Variables that look like a misspelled setting, a line each. Variables of other programs are left alone. */
function misspelled(variables: readonly string[]): string[] {
  return variables.flatMap((variable) => {
    if (OTHERS.test(variable) || KNOWN.some((name) => name === variable)) return []
    // A short name has near neighbours that are no typo (HOST and HOSTS), so fewer letters may differ.
    const maxDistance = variable.length < 10 ? 1 : variable.length < 14 ? 2 : 3
    const meant = closestMatch(variable.toUpperCase(), KNOWN, { maxDistance })
    return meant === undefined ? [] : [`${variable} is not a setting and is ignored. Did you mean ${meant}?`]
  })
}
