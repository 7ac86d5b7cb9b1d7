// Outside programs that some suites drive; scripts/install-test-programs.sh installs them on Debian.
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Debian keeps servers where an ordinary user's PATH does not look. */
const PLACES = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']

/** Where a program is, or undefined when it is not installed. */
export function findProgram(name: string): string | undefined {
  return PLACES.map((place) => join(place, name)).find(isExecutable)
}

/**
 * Options of a test that needs these programs: without them it is skipped and says which one is missing; in CI, where
 * the script has installed them, it runs and fails.
 */
export function needs(...names: string[]): { skip?: string } {
  const missing = names.filter((name) => findProgram(name) === undefined)
  if (missing.length === 0 || process.env.CI === 'true') return {}
  return { skip: `not installed: ${missing.join(', ')}` }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
