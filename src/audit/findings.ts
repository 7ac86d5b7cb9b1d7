// What verification found, put so that the record concerned has a name.
import type { PlacedEntry } from './verify.ts'

/** Findings told one by one; of more, only how many. */
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
  /** Where the last records that are in their place stand, by hash: enough to recognise one that follows itself. */
  readonly #inPlace = new Map<string, number>()
  #mismatchCount = 0

  add(line: string): void {
    this.#lines.push(line)
  }

  /** The record at this place is the one its tile knows. */
  match(index: number, hash: Uint8Array): void {
    if (this.#inPlace.size >= KEPT) this.#inPlace.clear()
    this.#inPlace.set(nameOf(hash), index)
  }

  /** The record at this place is not the one its tile knows. */
  mismatch(index: number, found: Uint8Array, expected: Uint8Array): void {
    this.#mismatchCount += 1
    if (this.#mismatches.length < KEPT) {
      this.#mismatches.push({ index, found: nameOf(found), expected: nameOf(expected) })
    }
  }

  /** Where records and tiles differ: which of them is not what was signed? */
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

/** One entry a place; a place without one, or with several, is a finding. */
export function decodePlace(
  entries: readonly PlacedEntry[],
  start: number,
  width: number,
  findings: Findings
): (Uint8Array | undefined)[] {
  const places = new Array<Uint8Array | undefined>(width).fill(undefined)
  for (const { index, entry } of entries) {
    const place = index - start
    if (places[place] !== undefined) findings.add(`record ${index} is there twice`)
    else if (place >= 0 && place < width) places[place] = entry
  }
  for (const [place, entry] of places.entries()) {
    if (entry === undefined) findings.add(`record ${start + place} is missing`)
  }
  return places
}
