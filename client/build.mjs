// Builds dist/ with the repository's compiler, not that of this package, which is the oldest that its types are for.
import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const { dirname } = import.meta
const compiler = createRequire(join(dirname, '../package.json')).resolve('typescript/package.json')

rmSync(join(dirname, 'dist'), { recursive: true, force: true })
execFileSync(process.execPath, [join(compiler, '../bin/tsc'), '-p', join(dirname, 'tsconfig.json')], {
  stdio: 'inherit'
})
