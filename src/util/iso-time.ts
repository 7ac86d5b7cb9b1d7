import { Type } from '@sinclair/typebox'

/** A moment as answers of the administration name it. */
export const Time = Type.String({ description: 'ISO 8601, UTC.', examples: ['2026-01-31T12:00:00.000Z'] })

/** `ms` since 1970. */
export const isoTime = (ms: number): string => new Date(ms).toISOString()
