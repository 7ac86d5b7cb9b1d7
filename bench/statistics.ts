/** What repeated runs gave. */
export interface Summary {
  readonly median: number
  readonly min: number
  readonly max: number
  readonly runs: readonly number[]
}

export function summary(runs: readonly number[]): Summary {
  const sorted = [...runs].sort((a, b) => a - b)
  const half = (sorted.length - 1) / 2
  const median = (sorted[Math.floor(half)]! + sorted[Math.ceil(half)]!) / 2
  return { median, min: sorted[0]!, max: sorted[sorted.length - 1]!, runs }
}

export interface Quantiles {
  readonly p50: number
  readonly p99: number
  readonly max: number
}

/** Quantiles of the values as they are: nearest rank. */
export function quantiles(values: ArrayLike<number>): Quantiles {
  const sorted = Float64Array.from(values).sort()
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0
  return { p50: at(0.5), p99: at(0.99), max: at(1) }
}
