// What verification finds wrong with records, and how it is put into words that name the record.
import { ANCHORS } from '../store/audit-log.ts'
import { escapeId, parseRecord } from './record.ts'
import { rekeyFault } from './signer.ts'

/** So many findings are listed; further ones are only counted. */
const TOLD = 20
/** Places whose hashes are kept to find out what was moved where. */
const KEPT = 100_000

interface Mismatch {
  readonly index: number
  /** Hash of the record that stands there. */
  readonly found: string
  /** Hash the tile has there. */
  readonly expected: string
}

const nameOf = (hash: Uint8Array) => Buffer.from(hash).toString('latin1')

export class Findings {
  readonly #lines: string[] = []
  readonly #mismatches: Mismatch[] = []
  /** Indexes by hash of the last matching records: enough to recognise one that is there twice in a row. */
  readonly #inPlace = new Map<string, number>()
  #mismatchCount = 0

  add(line: string): void {
    this.#lines.push(line)
  }

  /** The record at this index has the hash in its tile. */
  match(index: number, hash: Uint8Array): void {
    if (this.#inPlace.size >= KEPT) this.#inPlace.clear()
    this.#inPlace.set(nameOf(hash), index)
  }

  /** The record at this index has not the hash in its tile. */
  mismatch(index: number, found: Uint8Array, expected: Uint8Array): void {
    this.#mismatchCount += 1
    if (this.#mismatches.length < KEPT) {
      this.#mismatches.push({ index, found: nameOf(found), expected: nameOf(expected) })
    }
  }

  /** Adds the findings about records and tiles that differ. `who`: which of them is not what was signed. */
  blame(who: 'records' | 'tiles' | 'both'): void {
    const places = new Map(this.#mismatches.map(({ index, expected }) => [expected, index]))
    const found = new Set(this.#mismatches.map((mismatch) => mismatch.found))
    for (const mismatch of this.#mismatches.slice(0, TOLD)) {
      if (who === 'tiles')
        this.add(`tile 0/${Math.floor(mismatch.index / 256)} was changed at record ${mismatch.index}`)
      else if (who === 'both') this.add(`record ${mismatch.index} and its tile differ`)
      else this.#explain(mismatch, places.get(mismatch.found), found)
    }
    const untold = this.#mismatchCount - TOLD
    if (untold > 0) this.add(`and ${untold} further places`)
  }

  lines(): string[] {
    const untold = this.#lines.length - 2 * TOLD
    return untold > 0 ? [...this.#lines.slice(0, 2 * TOLD), `and ${untold} further findings`] : this.#lines
  }

  #explain({ index, found, expected }: Mismatch, movedFrom: number | undefined, everFound: ReadonlySet<string>): void {
    const doubled = this.#inPlace.get(found)
    if (movedFrom === undefined && doubled === undefined) this.add(`record ${index} was changed`)
    else {
      this.add(`record ${movedFrom ?? doubled} stands at place ${index}${movedFrom === undefined ? ' once more' : ''}`)
      if (!everFound.has(expected)) this.add(`record ${index} is gone`)
    }
  }
}

/** Checks records in their order: each must be canonical, and every sender's nonces must count up without gap or repetition. */
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
    if (record.type === 'rekey') return rekeyFault(record)
    if (!('nonce' in record)) return undefined
    const last = this.#last.get(record.from) ?? (this.#isComplete ? 0 : record.nonce - 1)
    this.#last.set(record.from, record.nonce)
    return record.nonce === last + 1
      ? undefined
      : `has nonce ${record.nonce} of ${record.from}, which follows nonce ${last}: a record was dropped, doubled or moved`
  }

  /** A record could not be read: the next one of any sender may have any nonce. */
  skip(): void {
    this.#last.clear()
    this.#isComplete = false
  }
}
