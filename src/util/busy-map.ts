/** After so many deletions a map is replaced: by nothing when it is empty, which is cheap, else by a copy. */
const EMPTY_AFTER = 64
const COPIED_AFTER = 1_024

/**
 * A map whose entries come and go all the time, some for every message.
 *
 * When V8 gives a `Map` a new table, for more room or without the gaps, the old table goes on pointing to the new one, for
 * iterators. Once a table has lived long enough for the old generation and is dead, it keeps all tables after it alive until
 * the next major collection, with whatever was in them: each minor collection copies garbage. Here the `Map` itself is
 * replaced now and then, and nothing points from the last one to the next.
 */
export class BusyMap<K, V> {
  /** Undefined: empty. */
  #map: Map<K, V> | undefined
  #deletions = 0

  get size(): number {
    return this.#map?.size ?? 0
  }

  get(key: K): V | undefined {
    return this.#map?.get(key)
  }

  has(key: K): boolean {
    return this.#map?.has(key) ?? false
  }

  set(key: K, value: V): void {
    this.#map ??= new Map()
    this.#map.set(key, value)
  }

  /** True: it was there. */
  delete(key: K): boolean {
    const map = this.#map
    if (map === undefined || !map.delete(key)) return false
    this.#deletions += 1
    if (map.size === 0) {
      if (this.#deletions >= EMPTY_AFTER) this.#replace(undefined)
    } else if (this.#deletions >= COPIED_AFTER && this.#deletions >= map.size) this.#replace(new Map(map))
    return true
  }

  /** In the order in which they came; what is set or deleted meanwhile may be missed. */
  keys(): Iterable<K> {
    return this.#map?.keys() ?? []
  }

  #replace(map: Map<K, V> | undefined): void {
    this.#map = map
    this.#deletions = 0
  }
}
