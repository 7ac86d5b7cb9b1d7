import type { TSchema } from '@sinclair/typebox'
import { allowedBy } from '../util/schema-words.ts'
import { type ConfigSchema, SECTIONS } from './schema.ts'

/** A value a setting may have. */
export type SettingValue = string | number | boolean

/** One setting as the reader of the environment and the printers of the docs see it. */
export interface Setting {
  name: keyof typeof ConfigSchema.properties & string
  section: string
  schema: TSchema
  description: string
  default: SettingValue | undefined
  secret: boolean
}

/** Every setting in the order of the schema. */
export const SETTINGS: readonly Setting[] = Object.entries(SECTIONS).flatMap(([section, schemas]) =>
  Object.entries<TSchema>(schemas).map(([name, schema]) => ({
    name: name as Setting['name'],
    section,
    schema,
    description: schema.description ?? '',
    default: schema.default,
    secret: schema.secret === true
  }))
)

/** The variable that may name a file holding a secret, as container platforms hand secrets over. */
export const fileVariable = (setting: Setting): string => `${setting.name}_FILE`

/** What a setting accepts, in words: fit to follow "must be". */
export function allowedValues({ schema }: Setting): string {
  if (schema.allowed) return schema.allowed
  if (schema.type === 'boolean') return 'true or false (or 1 or 0)'
  return schema.type === 'string' ? 'text without spaces around it' : allowedBy(schema)
}
