// Builds dist/: compiles with the repository's compiler and spells the imports of declarations as every compiler reads them.
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const dist = process.argv[2] ?? join(here, 'dist')
// Not the compiler of this package, which is the oldest that its types are for.
const compiler = join(createRequire(join(here, '../package.json')).resolve('typescript/package.json'), '../bin/tsc')

rmSync(dist, { recursive: true, force: true })
execFileSync(process.execPath, [compiler, '-p', join(here, 'tsconfig.json'), '--outDir', dist], { stdio: 'inherit' })
for (const name of readdirSync(dist)) {
  if (!name.endsWith('.d.ts')) continue
  const file = join(dist, name)
  writeFileSync(file, readFileSync(file, 'utf8').replace(/(from '\.\/[\w-]+)\.ts'/g, "$1.js'"))
}
