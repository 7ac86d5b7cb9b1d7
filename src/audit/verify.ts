// Recomputes a whole log from its records, and says what does not fit.
import { type Checkpoint, openNote, parseCheckpoint, type Verifier } from '../tlog/note.ts'
import { append, type Edge, hashesIn, rootOfEdge, TILE_WIDTH, type TileRef, tileWidth } from '../tlog/tiles.ts'
import { EMPTY_ROOT, leafHash } from '../tlog/tree.ts'
import { Findings, NonceCheck } from './findings.ts'
import { readOrigin } from './node-key.ts'

/** Where a log is read from: the database, or its public URLs. */
export interface LogSource {
  /** The published checkpoint, a signed note; undefined: there is none. */
  checkpoint(): Promise<string | undefined>
  /** At least the first `width` hashes; undefined: there is no such tile. */
  tile(ref: TileRef, width: number): Promise<Uint8Array | undefined>
  /** The records of a bundle with their indexes, in order; undefined: not readable for us. */
  entries(index: number, width: number): Promise<readonly PlacedEntry[] | undefined>
}

export interface PlacedEntry {
  readonly index: number
  readonly entry: Uint8Array
}

export interface VerifyOptions {
  readonly network: string
  readonly source: LogSource
  /** The node; its name begins the log's origin. */
  readonly verifier: Verifier
  /** Anchored trees, by `logOf` their origin. */
  readonly anchored?: ReadonlyMap<string, readonly AnchoredTree[]>
  /** Called with every record that matches its tile. */
  readonly onRecord?: (index: number, entry: Uint8Array) => void
  readonly onProgress?: (done: number, total: number) => void
}

/** Network and epoch of an origin: a log that goes on under another name of the node (a new key) is the same log. */
export const logOf = (origin: string): string => origin.slice(origin.lastIndexOf('/') + 1)

/** What the log of checkpoints says about another log. */
export interface AnchoredTree {
  readonly size: number
  readonly rootHash: string
  /** Index of the record that says so. */
  readonly index: number
}

export interface LogVerdict {
  readonly network: string
  /** Records under the checkpoint. */
  readonly size: number
  /** The records could not be read: only the tiles were compared with the signature. */
  readonly isWithheld: boolean
  /** What does not fit, in words; empty: everything does. */
  readonly findings: readonly string[]
}

/** Reads everything once. Damage is a finding, never an exception; a source that does not answer throws. */
export async function verifyLog(options: VerifyOptions): Promise<LogVerdict> {
  const { network, source } = options
  const findings = new Findings()
  const checkpoint = signedCheckpoint(await source.checkpoint(), options, findings)
  if (checkpoint === undefined) return { network, size: 0, isWithheld: false, findings: findings.lines() }
  const reading = new Reading(options, checkpoint, findings)
  for (let index = 0; index * TILE_WIDTH < checkpoint.size; index++) {
    await reading.readBundle(index)
    options.onProgress?.(Math.min((index + 1) * TILE_WIDTH, checkpoint.size), checkpoint.size)
  }
  await reading.finish(checkpoint)
  return { network, size: checkpoint.size, isWithheld: reading.isWithheld, findings: findings.lines() }
}

function signedCheckpoint(
  note: string | undefined,
  { network, verifier }: VerifyOptions,
  findings: Findings
): Checkpoint | undefined {
  if (note === undefined) return void findings.add('there is no checkpoint')
  try {
    const checkpoint = parseCheckpoint(openNote(note, verifier))
    const isOurs =
      checkpoint.origin.startsWith(`${verifier.name}/`) && readOrigin(checkpoint.origin).network === network
    if (isOurs) return checkpoint
    findings.add(`the checkpoint is of another log, ${checkpoint.origin}`)
  } catch (error) {
    findings.add(`the checkpoint is not valid: ${(error as Error).message}`)
  }
  return undefined
}

/** A tree that grows while the log is read, and its upper tiles. */
class Tree {
  size = 0
  edge: Edge = []
  readonly upper = new Map<string, { ref: TileRef; hashes: Buffer }>()

  add(leaves: readonly Uint8Array[]): void {
    const grown = append(this.size, this.edge, leaves)
    this.size = grown.size
    this.edge = grown.edge
    for (const { level, index, hashes } of grown.tiles) {
      if (level > 0) this.upper.set(`${level}/${index}`, { ref: { level, index }, hashes })
    }
  }

  hasRoot(root: Uint8Array): boolean {
    return Buffer.from(this.size === 0 ? EMPTY_ROOT : rootOfEdge(this.edge)).equals(root)
  }

  /** Its root, 64 hex digits, once it has grown by these leaves. */
  rootAfter(leaves: readonly Uint8Array[]): string {
    return Buffer.from(rootOfEdge(append(this.size, this.edge, leaves).edge)).toString('hex')
  }
}

/** One pass over a log: a tree over its records, and one over the tiles' hashes, which should be the same. */
class Reading {
  isWithheld = false
  readonly #options: VerifyOptions
  readonly #size: number
  readonly #findings: Findings
  readonly #nonces: NonceCheck
  readonly #byRecords = new Tree()
  readonly #byTiles = new Tree()
  /** Anchored trees that are larger than what was read so far, smallest last. */
  readonly #anchored: AnchoredTree[]

  constructor(options: VerifyOptions, { origin, size }: Checkpoint, findings: Findings) {
    this.#options = options
    this.#size = size
    this.#findings = findings
    this.#nonces = new NonceCheck(options.network)
    this.#anchored = [...(options.anchored?.get(logOf(origin)) ?? [])].sort((a, b) => b.size - a.size)
  }

  async readBundle(index: number): Promise<void> {
    const { source } = this.#options
    const width = tileWidth({ level: 0, index }, this.#size)
    const [tile, entries] = await Promise.all([
      source.tile({ level: 0, index }, width),
      this.isWithheld ? undefined : source.entries(index, width)
    ])
    const hashes = this.#tileHashes(tile, { level: 0, index }, width)
    this.#checkAnchored(hashes)
    this.#byTiles.add(hashes)
    this.isWithheld ||= entries === undefined
    if (entries === undefined) return
    const places = decodePlace(entries, index * TILE_WIDTH, width, this.#findings)
    this.#byRecords.add(
      places.map((entry, place) => this.#readRecord(entry, index * TILE_WIDTH + place, hashes[place]!))
    )
  }

  /** Finds out which of the two trees was signed, and what differs from it. */
  async finish({ root }: Checkpoint): Promise<void> {
    for (const { size, index } of this.#anchored) {
      this.#findings.add(`it has ${this.#size} records, but anchors/${index} says ${size}`)
    }
    const isByRecords = !this.isWithheld && this.#byRecords.hasRoot(root)
    const isByTiles = this.#byTiles.hasRoot(root)
    if (isByRecords) this.#findings.blame('tiles')
    else if (isByTiles) this.#findings.blame('records')
    else {
      this.#findings.blame('both')
      this.#findings.add(`${this.isWithheld ? 'the tiles do' : 'neither records nor tiles'} not give the signed root`)
    }
    const signed = isByRecords ? this.#byRecords : this.#byTiles
    for (const { ref, hashes } of signed.upper.values()) {
      const width = tileWidth(ref, this.#size)
      const tile = await this.#options.source.tile(ref, width)
      const isSame = tile !== undefined && hashes.equals(tile.subarray(0, hashes.length))
      if (!isSame) this.#findings.add(`tile ${ref.level}/${ref.index} does not stand for the tiles below it`)
    }
  }

  /** Compares the anchored trees that end within the next leaves with what these give. */
  #checkAnchored(leaves: readonly Uint8Array[]): void {
    const before = this.#byTiles.size
    for (let tree = this.#anchored.at(-1); tree !== undefined; tree = this.#anchored.at(-1)) {
      if (tree.size > before + leaves.length) return
      this.#anchored.pop()
      const isKept = this.#byTiles.rootAfter(leaves.slice(0, tree.size - before)) === tree.rootHash
      if (!isKept) this.#findings.add(`it does not begin with the ${tree.size} records of anchors/${tree.index}`)
    }
  }

  #tileHashes(tile: Uint8Array | undefined, { level, index }: TileRef, width: number): Uint8Array[] {
    if (tile !== undefined && tile.length >= width * 32) return hashesIn(tile, 0, width)
    this.#findings.add(`tile ${level}/${index} is ${tile === undefined ? 'missing' : 'too short'}`)
    return Array.from({ length: width }, () => Buffer.alloc(32))
  }

  /** The leaf hash of a record; of one that is missing, what the tile says. */
  #readRecord(entry: Uint8Array | undefined, index: number, expected: Uint8Array): Uint8Array {
    if (entry === undefined) {
      this.#nonces.skip()
      return expected
    }
    const found = leafHash(entry)
    if (found.equals(expected)) {
      const fault = this.#nonces.check(entry)
      if (fault !== undefined) this.#findings.add(`record ${index} ${fault}`)
      this.#findings.match(index, expected)
      this.#options.onRecord?.(index, entry)
    } else {
      this.#nonces.skip()
      this.#findings.mismatch(index, found, expected)
    }
    return found
  }
}

/** One entry a place; a place without one, or with several, is a finding. */
function decodePlace(
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
