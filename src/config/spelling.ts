import { nearestTo } from '../util/words.ts'
import { fileVariable, SETTINGS } from './settings.ts'

const KNOWN = SETTINGS.flatMap((setting) => (setting.secret ? [setting.name, fileVariable(setting)] : [setting.name]))

/** Variables that look like a slip of one of ours, a line each. Other programs' variables are left alone. */
export function misspelled(variables: readonly string[]): string[] {
  const ours = new Set<string>(KNOWN)
  return variables.flatMap((variable) => {
    if (ours.has(variable)) return []
    const meant = nearestTo(variable.toUpperCase(), KNOWN, leeway)
    return meant === undefined ? [] : [`${variable} is not a setting and is ignored. Did you mean ${meant}?`]
  })
}

/** Short names have near neighbours that are no slip (HOST and HOME), so they get less leeway. */
const leeway = (name: string): number => (name.length < 10 ? 1 : 2)
