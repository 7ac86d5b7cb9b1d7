import { fileVariable, SETTINGS } from './settings.ts'

const KNOWN = SETTINGS.flatMap((setting) => (setting.secret ? [setting.name, fileVariable(setting)] : [setting.name]))

/** Variables that look like a slip of one of ours, a line each. Other programs' variables are left alone. */
export function misspelled(variables: readonly string[]): string[] {
  const ours = new Set<string>(KNOWN)
  return variables.flatMap((variable) => {
    if (ours.has(variable)) return []
    const meant = nearest(variable)
    return meant === undefined ? [] : [`${variable} is not a setting and is ignored. Did you mean ${meant}?`]
  })
}

/** Short names have near neighbours that are no slip (HOST and HOME), so they get less leeway. */
const leeway = (name: string): number => (name.length < 10 ? 1 : 2)

function nearest(variable: string): string | undefined {
  const spelling = variable.toUpperCase()
  const candidates = KNOWN.map((name) => ({ name, distance: editDistance(spelling, name) }))
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
