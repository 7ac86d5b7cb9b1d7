import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The tree this code runs from: what `npm test` has compiled, or (by `npm run chaos`) the sources themselves. */
export const OWN_TREE = fileURLToPath(new URL('../..', import.meta.url))
const EXTENSION = extname(fileURLToPath(import.meta.url))

/** The file that Node runs for one of our sources: `ownFile('src/main.ts')`. */
export function ownFile(source: string): string {
  return join(OWN_TREE, source.replace(/\.ts$/, EXTENSION))
}

/** Options that Node needs to run such a file, or to import it. */
export const OWN_OPTIONS: readonly string[] = EXTENSION === '.ts' ? ['--import', import.meta.resolve('tsx')] : []
