// Before `npm pack` and `npm publish`: compiles into an empty dist, from a clean clone, too.
import { spawnSync } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Its output goes to standard error: `npm pack --json` prints its own to standard output. */
function run(command, ...args) {
  const { status } = spawnSync(command, args, {
    cwd: root,
    stdio: ['inherit', 2, 2],
    shell: process.platform === 'win32'
  })
  if (status !== 0) process.exit(status ?? 1)
}

if (!existsSync(join(root, 'node_modules/typescript'))) run('npm', 'ci')
rmSync(join(root, 'dist'), { recursive: true, force: true })
run('npm', 'run', 'build')
