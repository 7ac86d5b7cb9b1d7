import { ANCHORS } from '../store/audit-log.ts'
import { escapeId, parseRecord } from './record.ts'

/** Checks records in their order: each is what a record must be, and every sender's count up without gap or repetition. */
export class NonceCheck {
  readonly #network: string
  readonly #last = new Map<string, number>()
  #isComplete = true

  constructor(network: string) {
    this.#network = network
  }

  /** Undefined when the record is as it must be, else what is wrong, fit to follow "record 5 ". */
  check(entry: Uint8Array): string | undefined {
    const record = parseRecord(entry)
    if (record === undefined) return 'is not the canonical form of a record'
    if (record.network !== escapeId(this.#network)) return `is of another network, ${record.network}`
    if (record.type === 'checkpoint' && this.#network !== ANCHORS) return 'is a checkpoint, in a log of messages'
    if (!('nonce' in record)) return undefined
    const last = this.#last.get(record.from) ?? (this.#isComplete ? 0 : record.nonce - 1)
    this.#last.set(record.from, record.nonce)
    return record.nonce === last + 1
      ? undefined
      : `has nonce ${record.nonce} of ${record.from}, which follows nonce ${last}: a record was dropped, doubled or moved`
  }

  /** A record could not be read: whoever comes next may have any nonce. */
  skip(): void {
    this.#last.clear()
    this.#isComplete = false
  }
}
