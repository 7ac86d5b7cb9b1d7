/** One message on its way. */
export interface Envelope {
  readonly network: string
  readonly sender: string
  readonly recipient: string
  /** What its sender calls it: a retry carries the same one. Null where the protocol has none. */
  readonly digest: string | null
  /** The body as JSON text: opaque, stored and passed on as it is. */
  readonly sealed: string
  /** Length of `sealed` in bytes of UTF-8. */
  readonly bytes: number
  /** The recipient's encryption key it is sealed for (its key id); null when none is known. */
  readonly keyId: string | null
}

/**
 * What became of an envelope. `live`: committed, and the recipient is connected. `queued`: committed, and the recipient
 * is away. The rest was not accepted: `duplicate` is another body under a digest that was used, or one given up since, `quota` and
 * `recipient-full` name the limit, `busy` and `unavailable` are ours.
 */
export type Acceptance = (typeof ACCEPTED)[number] | (typeof NOT_ACCEPTED)[number]
export const ACCEPTED = ['live', 'queued'] as const
export const NOT_ACCEPTED = ['duplicate', 'quota', 'recipient-full', 'busy', 'unavailable'] as const
