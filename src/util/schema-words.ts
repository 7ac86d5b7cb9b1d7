// What is wrong with a value that does not fit its schema, in words for people: never a regular expression.
import type { TSchema } from '@sinclair/typebox'
import { type ValueError, ValueErrorType } from '@sinclair/typebox/errors'

/**
 * What a schema accepts, fit to follow "must be". A schema with a pattern says it itself, in its option `x-allowed`; what is
 * left out of it there cannot be guessed.
 */
export function allowedBy(schema: TSchema): string {
  if (schema['x-allowed']) return schema['x-allowed']
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.anyOf) return oneOf(schema.anyOf)
  switch (schema.type) {
    case 'integer':
    case 'number':
      return `a ${schema.type === 'integer' ? 'whole ' : ''}number${range(schema.minimum, schema.maximum)}`
    case 'string':
      return `text${range(schema.minLength, schema.maxLength, 'characters')}${schema.pattern ? ' of another form' : ''}`
    case 'array':
      return `a list${range(schema.minItems, schema.maxItems, 'items')}`
    case 'boolean':
      return 'true or false'
    case 'null':
      return 'null'
    default:
      return schema.type === 'object'
        ? `an object${range(schema.minProperties, undefined, 'members')}`
        : 'something else'
  }
}

/** A sentence about the first thing that is wrong. `name`: what the whole value is called. The value is not repeated. */
export function faultInWords(fault: ValueError, name: string): string {
  const what = fault.path === '' ? name : fault.path.slice(1)
  if (fault.type === ValueErrorType.ObjectAdditionalProperties) return `${what} is not known here`
  const missing = fault.value === undefined ? 'is missing: it ' : ''
  return `${what} ${missing}must be ${allowedBy(fault.schema)}`
}

function oneOf(choices: readonly TSchema[]): string {
  const isAllConstant = choices.every((choice) => choice.const !== undefined)
  const words = choices.map((choice) => (isAllConstant ? String(choice.const) : allowedBy(choice)))
  return isAllConstant ? `one of ${words.join(', ')}` : words.join(' or ')
}

function range(least: number | undefined, most: number | undefined, unit = ''): string {
  const words = unit && ` ${unit}`
  const isBounded = most !== undefined && most < Number.MAX_SAFE_INTEGER
  if (!isBounded) return least === undefined ? '' : ` of at least ${least}${words}`
  if (least === undefined) return ` of at most ${most}${words}`
  if (least === most) return ` of ${least}${words}`
  return `${unit === '' ? ' from' : ' of'} ${least} to ${most}${words}`
}
