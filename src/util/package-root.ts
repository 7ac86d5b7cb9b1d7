import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = findRoot(dirname(fileURLToPath(import.meta.url)))

/** Absolute path of a file that ships with the package, such as `migrations`. The same from `src/` and from `dist/src/`. */
export function packageFile(relative: string): string {
  return join(root, relative)
}

/** The version of this server, as package.json has it. */
export const VERSION: string = JSON.parse(readFileSync(packageFile('package.json'), 'utf8')).version

/** The nearest directory upwards that holds a package.json: `dist` has none, so compiled code finds the same root. */
function findRoot(directory: string): string {
  if (existsSync(join(directory, 'package.json'))) return directory
  const parent = dirname(directory)
  if (parent === directory) throw new Error('package.json not found above the program: the installation is incomplete')
  return findRoot(parent)
}
