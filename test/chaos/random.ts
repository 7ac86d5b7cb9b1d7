/** Numbers that look random and are the same for the same seed. */
export interface Random {
  /** From 0 (inclusive) to 1 (exclusive). */
  next(): number
  /** A whole number from `low` to `high`, both inclusive. */
  between(low: number, high: number): number
  chance(probability: number): boolean
  /** One of them; there must be one. */
  pick<T>(from: readonly T[]): T
  /** About this share of them, at least one where there is one. */
  some<T>(from: readonly T[], share: number): T[]
}

/** mulberry32, by Tommy Ettinger (public domain): 32 bits of state are enough to choose faults by. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const between = (low: number, high: number) => low + Math.floor(next() * (high - low + 1))
  const pick = <T>(from: readonly T[]): T => from[between(0, from.length - 1)]!
  return {
    next,
    between,
    chance: (probability) => next() < probability,
    pick,
    some: (from, share) => {
      const chosen = from.filter(() => next() < share)
      return chosen.length > 0 || from.length === 0 ? chosen : [pick(from)]
    }
  }
}
