// Words and lines, for everybody who speaks to people.

/** Breaks text at spaces into lines of at most `width` characters; a longer word stands alone. */
export function wrapped(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line && line.length + 1 + word.length > width) {
      lines.push(line)
      line = ''
    }
    line = line ? `${line} ${word}` : word
  }
  return line ? [...lines, line] : lines
}

/** The name a word is nearly, if it is within so many slips of one. */
export function nearestTo(
  word: string,
  names: readonly string[],
  leeway: (name: string) => number
): string | undefined {
  const candidates = names.map((name) => ({ name, distance: editDistance(word, name) }))
  const [best] = candidates.toSorted((one, other) => one.distance - other.distance)
  return best !== undefined && best.distance <= leeway(best.name) ? best.name : undefined
}

/** Letters to insert, drop, replace or swap with their neighbour (optimal string alignment). */
export function editDistance(one: string, other: string): number {
  if (Math.abs(one.length - other.length) > 2) return Number.POSITIVE_INFINITY
  let beforeLast: number[] = []
  let last = Array.from({ length: other.length + 1 }, (_, column) => column)
  for (let row = 1; row <= one.length; row++) {
    const current = [row]
    for (let column = 1; column <= other.length; column++) {
      const same = one[row - 1] === other[column - 1]
      const swapped = row > 1 && column > 1 && one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1]
      current[column] = Math.min(
        last[column]! + 1,
        current[column - 1]! + 1,
        last[column - 1]! + (same ? 0 : 1),
        swapped ? beforeLast[column - 2]! + 1 : Number.POSITIVE_INFINITY
      )
    }
    beforeLast = last
    last = current
  }
  return last[other.length]!
}
