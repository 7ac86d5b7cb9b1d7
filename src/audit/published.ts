// The public view of a log: only what is under its published checkpoint.
import type { Database } from '../database/database.ts'
import { findEntry, findNamed, readEntries, readTiles } from '../store/audit-entry.ts'
import { type AuditLog, findLog } from '../store/audit-log.ts'
import { proofText } from '../tlog/note.ts'
import { encodeBundle, HASH_BYTES, TILE_WIDTH, type TileRef, tileWidth } from '../tlog/tiles.ts'
import { inclusionRanges } from '../tlog/tree.ts'
import { isRecordOf, type MessageFacts, nameOfMessage } from './record.ts'
import { subtreeHashes } from './stored-tree.ts'

/** Records of one message that are told; one that was sent again has several. */
const RECORDS_OF_ONE = 16

/** A log with a checkpoint. */
export type PublishedLog = AuditLog & { readonly publishedNote: string }

export class PublishedLogs {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Undefined when nothing of this network is signed yet. */
  async find(network: string): Promise<PublishedLog | undefined> {
    const log = await this.#within(findLog(this.#database.sql, network))
    return log !== undefined && log.publishedNote !== null ? (log as PublishedLog) : undefined
  }

  /** The first `width` hashes of a tile; undefined when the published tree has fewer. */
  async tile(log: PublishedLog, ref: TileRef, width: number): Promise<Buffer | undefined> {
    if (width > tileWidth(ref, log.publishedSize)) return undefined
    const [tile] = await this.#within(readTiles(this.#database.sql, [{ ...ref, log: log.id }]))
    return tile?.hashes.subarray(0, width * HASH_BYTES)
  }

  /** The first `width` records of a bundle, each behind its length; undefined when the published tree has fewer. */
  async bundle(log: PublishedLog, index: number, width: number): Promise<Buffer | undefined> {
    if (width > tileWidth({ level: 0, index }, log.publishedSize)) return undefined
    const start = index * TILE_WIDTH
    const entries = await this.#within(readEntries(this.#database.sql, log.id, start, start + width))
    if (entries.length < width) return undefined
    return encodeBundle(entries.map(({ entry }) => entry))
  }

  /** A tlog-proof of the record with this hash; undefined when the published tree has none. */
  async proof(log: PublishedLog, txHash: Uint8Array): Promise<string | undefined> {
    const index = await this.#within(findEntry(this.#database.sql, log.id, txHash))
    if (index === undefined || index >= log.publishedSize) return undefined
    const ranges = inclusionRanges(index, log.publishedSize)
    const path = await this.#within(subtreeHashes(this.#database.sql, log, ranges))
    return proofText(index, path, log.publishedNote)
  }

  /** The record with this hash; undefined when the published tree has none. */
  async record(log: PublishedLog, txHash: Uint8Array): Promise<Buffer | undefined> {
    const index = await this.#within(findEntry(this.#database.sql, log.id, txHash))
    if (index === undefined || index >= log.publishedSize) return undefined
    const [found] = await this.#within(readEntries(this.#database.sql, log.id, index, index + 1))
    return found?.entry
  }

  /** The hashes of a signaling message's records in the published tree, oldest first; of many copies those of the first 16. */
  async recordsOf(network: string, message: MessageFacts): Promise<string[]> {
    const found = await this.#within(findNamed(this.#database.sql, network, nameOfMessage(message), RECORDS_OF_ONE))
    return found.filter(({ entry }) => isRecordOf(entry, message)).map(({ txHash }) => txHash)
  }

  #within<T>(query: PromiseLike<T>): Promise<T> {
    return this.#database.within(query)
  }
}
