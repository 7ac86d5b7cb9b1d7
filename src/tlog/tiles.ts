// The tree in tiles of 256 hashes, its records in bundles of 256: c2sp.org/tlog-tiles.
import { nodeHash, type Range, rootOf, splitPoint } from './tree.ts'

/** Hashes in a full tile, entries in a full bundle. */
export const TILE_WIDTH = 256
export const HASH_BYTES = 32

/** A tile's address. Level 0 holds leaf hashes; a hash above stands for one full tile below. */
export interface TileRef {
  readonly level: number
  readonly index: number
}

export interface Tile extends TileRef {
  /** Up to 256 hashes, one after the other. */
  readonly hashes: Buffer
}

/** The hashes of a tile of at least the width asked for. */
export type TileLookup = (tile: TileRef) => Uint8Array

/** How many hashes a tile has in a tree of `size` leaves. */
export function tileWidth({ level, index }: TileRef, size: number): number {
  const hashes = Math.floor(size / TILE_WIDTH ** level)
  return Math.min(Math.max(hashes - index * TILE_WIDTH, 0), TILE_WIDTH)
}

/** The rightmost tile of each level that is not full, lowest first; an exactly full level has none. */
export function edgeOf(size: number): (TileRef & { width: number })[] {
  const edge: (TileRef & { width: number })[] = []
  for (let hashes = size, level = 0; hashes > 0; hashes = Math.floor(hashes / TILE_WIDTH), level++) {
    const width = hashes % TILE_WIDTH
    if (width > 0) edge.push({ level, index: Math.floor(hashes / TILE_WIDTH), width })
  }
  return edge
}

/** The tree's growing right side: by level, the hashes of the tile that is not full. */
export type Edge = readonly (readonly Uint8Array[])[]

/** Adds leaf hashes to a tree of `size` leaves: every tile that changed, whole, and the new edge. */
export function append(
  size: number,
  edge: Edge,
  leaves: readonly Uint8Array[]
): { tiles: Tile[]; edge: Edge; size: number } {
  const tiles: Tile[] = []
  const grown = [...edge]
  let fresh = leaves
  for (let level = 0; fresh.length > 0; level++) {
    const first = Math.floor(size / TILE_WIDTH ** (level + 1))
    const hashes = [...(edge[level] ?? []), ...fresh]
    const above: Uint8Array[] = []
    for (let at = 0; at < hashes.length; at += TILE_WIDTH) {
      const chunk = hashes.slice(at, at + TILE_WIDTH)
      tiles.push({ level, index: first + at / TILE_WIDTH, hashes: Buffer.concat(chunk) })
      if (chunk.length === TILE_WIDTH) above.push(rootOf(chunk))
    }
    grown[level] = hashes.slice(hashes.length - (hashes.length % TILE_WIDTH))
    fresh = above
  }
  return { tiles, edge: grown, size: size + leaves.length }
}

/** The root of the tree with this edge. */
export function rootOfEdge(edge: Edge): Uint8Array {
  // Each level's rest is the right side of what lies above; a level without one adds nothing.
  const sides = edge.filter((hashes) => hashes.length > 0)
  const [lowest = [], ...higher] = sides
  return higher.reduce<Uint8Array>((right, hashes) => rootOf([...hashes, right]), rootOf(lowest))
}

/** A complete subtree: `count` hashes (a power of two) of one tile. */
interface Part extends TileRef {
  readonly offset: number
  readonly count: number
}

/** A range that RFC 6962 makes a subtree of, cut into complete subtrees from left to right. */
function partsOf({ start, end }: Range): Part[] {
  const parts: Part[] = []
  for (let at = start; at < end; ) {
    const left = end - at
    const leaves = left === 1 ? 1 : splitPoint(left + 1) // the largest complete subtree that fits
    let level = 0
    let unit = 1
    for (; unit * TILE_WIDTH <= leaves; unit *= TILE_WIDTH) level++
    const first = at / unit
    parts.push({
      level,
      index: Math.floor(first / TILE_WIDTH),
      offset: first % TILE_WIDTH,
      count: leaves / unit
    })
    at += leaves
  }
  return parts
}

/** Every tile these subtrees need, each once, with the width needed of it. */
export function tilesOf(ranges: readonly Range[]): (TileRef & { width: number })[] {
  const tiles = new Map<string, TileRef & { width: number }>()
  for (const { level, index, offset, count } of ranges.flatMap(partsOf)) {
    const key = `${level}/${index}`
    const width = Math.max(tiles.get(key)?.width ?? 0, offset + count)
    tiles.set(key, { level, index, width })
  }
  return [...tiles.values()]
}

/** The hash of a subtree, out of the tiles that `tilesOf` names for it. */
export function hashOf(range: Range, tileAt: TileLookup): Uint8Array {
  const roots = partsOf(range).map((part) => rootOf(hashesIn(tileAt(part), part.offset, part.count)))
  return roots.reduceRight((right, left) => nodeHash(left, right))
}

/** The hashes from `offset` on. Throws when the tile is too short for them. */
export function hashesIn(tile: Uint8Array, offset = 0, count = tile.length / HASH_BYTES - offset): Uint8Array[] {
  if (tile.length < (offset + count) * HASH_BYTES) throw new RangeError('the tile is shorter than the tree needs it')
  return Array.from({ length: count }, (_, place) =>
    tile.subarray((offset + place) * HASH_BYTES, (offset + place + 1) * HASH_BYTES)
  )
}

/** `5` → `005`, `1234067` → `x001/x234/067`. */
export function tilePath(index: number): string {
  const digits = String(index).padStart(Math.ceil(String(index).length / 3) * 3, '0')
  const groups = digits.match(/\d{3}/g)!
  return groups.map((group, place) => (place < groups.length - 1 ? `x${group}` : group)).join('/')
}

/** A tile or bundle as the URL names it; undefined: no such form. `width` is 256 for a full one. */
export function parseTilePath(path: string): { kind: 'hashes' | 'entries'; ref: TileRef; width: number } | undefined {
  const match = /^(entries|\d{1,2})\/((?:x\d{3}\/){0,4}\d{3})(?:\.p\/([1-9]\d{0,2}))?$/.exec(path)
  if (match === null) return undefined
  const [, kind, name, partial] = match
  const index = Number(name!.replace(/[x/]/g, ''))
  const level = kind === 'entries' ? 0 : Number(kind)
  const width = partial === undefined ? TILE_WIDTH : Number(partial)
  const isCanonical = tilePath(index) === name && (kind === 'entries' || String(level) === kind)
  if (!isCanonical || level > 63 || (partial !== undefined && width >= TILE_WIDTH)) return undefined
  return { kind: kind === 'entries' ? 'entries' : 'hashes', ref: { level, index }, width }
}

/** An entry bundle: records one after the other, each after its length in two bytes, big-endian. */
export function encodeBundle(entries: readonly Uint8Array[]): Buffer {
  return Buffer.concat(
    entries.flatMap((entry) => {
      const length = Buffer.alloc(2)
      length.writeUInt16BE(entry.length)
      return [length, entry]
    })
  )
}

/** The records of an entry bundle. Throws when a length leads past the end. */
export function decodeBundle(bundle: Uint8Array): Buffer[] {
  const bytes = Buffer.from(bundle)
  const entries: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const start = at + 2
    const end = start + bytes.readUInt16BE(at)
    if (end > bytes.length) throw new RangeError('the bundle ends within a record')
    entries.push(bytes.subarray(start, end))
    at = end
  }
  return entries
}
