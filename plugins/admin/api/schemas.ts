import { Type } from '@sinclair/typebox'
import { Text } from '../../../src/protocol/frame.ts'

export const Time = Type.String({ description: 'ISO 8601, UTC.', examples: ['2026-01-31T12:00:00.000Z'] })

export const NetworkName = Text(128, 'The network: `signaling`, or an L2PS uid.')
export const PeerName = (description: string) => Text(256, description)

/** A field that is misspelt, or meant for another route, is refused: it may have been a filter. */
export const NoQuery = Type.Object({}, { additionalProperties: false })

export const ForceQuery = Type.Object(
  {
    force: Type.Optional(
      Type.Boolean({ default: false, description: 'Purge what waits instead of refusing; nobody gets it back.' })
    )
  },
  { additionalProperties: false }
)
