// The trees of the logs as Postgres has them.
import type { AnySql } from '../database/database.ts'
import { readTiles, type StoredTile } from '../store/audit-entry.ts'
import type { AuditLog } from '../store/audit-log.ts'
import { type Edge, edgeOf, HASH_BYTES, hashesIn, hashOf, rootOfEdge, type TileLookup, tilesOf } from '../tlog/tiles.ts'
import { EMPTY_ROOT, type Range } from '../tlog/tree.ts'

/** A log that must not be signed as it is: the reason is for the operator. */
export class LogUnsafe extends Error {
  override name = 'LogUnsafe'
  readonly network: string

  constructor(network: string, reason: string) {
    super(reason)
    this.network = network
  }
}

type LogRef = Pick<AuditLog, 'id' | 'network'>

const keyOf = (log: number, level: number, index: number) => `${log}/${level}/${index}`

/** Tiles that were read in one query. Looking up one that is missing throws `LogUnsafe`. */
class TileSet {
  readonly #tiles: ReadonlyMap<string, Buffer>

  constructor(tiles: readonly StoredTile[]) {
    this.#tiles = new Map(tiles.map((tile) => [keyOf(tile.log, tile.level, tile.index), tile.hashes]))
  }

  of(log: LogRef): TileLookup {
    return ({ level, index }) => {
      const hashes = this.#tiles.get(keyOf(log.id, level, index))
      if (hashes === undefined) throw new LogUnsafe(log.network, `tile ${level}/${index} is missing`)
      return hashes
    }
  }
}

async function readTileSet(sql: AnySql, wanted: readonly { log: LogRef; ranges: readonly Range[] }[]) {
  const refs = wanted.flatMap(({ log, ranges }) => tilesOf(ranges).map((tile) => ({ ...tile, log: log.id })))
  return new TileSet(await readTiles(sql, refs))
}

/** The growing right side of each log's tree, checked to give the log's root. Throws `LogUnsafe`. */
export async function readEdges(sql: AnySql, logs: readonly AuditLog[]): Promise<Map<number, Edge>> {
  const refs = logs.flatMap((log) => edgeOf(log.size).map((tile) => ({ ...tile, log: log.id })))
  const tiles = new TileSet(await readTiles(sql, refs))
  return new Map(logs.map((log) => [log.id, edgeIn(tiles, log)]))
}

function edgeIn(tiles: TileSet, log: AuditLog): Edge {
  const edge: Uint8Array[][] = []
  for (const { level, index, width } of edgeOf(log.size)) {
    const tile = tiles.of(log)({ level, index })
    if (tile.length !== width * HASH_BYTES)
      throw new LogUnsafe(log.network, `tile ${level}/${index} has a wrong length`)
    edge[level] = hashesIn(tile)
  }
  const whole = Array.from(edge, (hashes) => hashes ?? []) // a level that is exactly full has no edge
  const root = log.size === 0 ? EMPTY_ROOT : rootOfEdge(whole)
  if (!Buffer.from(root).equals(log.root)) throw new LogUnsafe(log.network, 'its tiles do not give its root')
  return whole
}

/** The roots these logs' trees had at these sizes, in the order asked for; an error in place of one that cannot be told. */
export async function rootsAt(
  sql: AnySql,
  wanted: readonly { log: LogRef; size: number }[]
): Promise<(Uint8Array | LogUnsafe)[]> {
  const ranges = wanted.map(({ log, size }) => ({ log, ranges: [{ start: 0, end: size }] }))
  const tiles = await readTileSet(sql, ranges)
  return wanted.map(({ log, size }) => {
    if (size === 0) return EMPTY_ROOT
    try {
      return hashOf({ start: 0, end: size }, tiles.of(log))
    } catch (error) {
      if (error instanceof LogUnsafe) return error
      if (error instanceof RangeError) return new LogUnsafe(log.network, error.message)
      throw error
    }
  })
}

/** The hashes of these subtrees of one log. */
export async function subtreeHashes(sql: AnySql, log: LogRef, ranges: readonly Range[]): Promise<Uint8Array[]> {
  const tiles = await readTileSet(sql, [{ log, ranges }])
  return ranges.map((range) => hashOf(range, tiles.of(log)))
}
