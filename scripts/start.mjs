// npm start: compiles when a source is newer than what was compiled, then runs the server in this very process.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const compiler = join(root, 'node_modules/typescript/bin/tsc')
const main = join(root, 'dist/src/main.js')

const SOURCES = [
  'src',
  'plugins',
  'client/src',
  'examples/chat',
  'playground',
  'scripts/build-playground.mjs',
  'migrations',
  'tsconfig.json',
  'tsconfig.build.json',
  'package.json'
]

if (isStale()) compile()
await import('../dist/src/main.js')

function isStale() {
  if (!existsSync(main)) return true
  const compiledAt = statSync(main).mtimeMs
  return SOURCES.some((source) => newestChange(join(root, source)) > compiledAt)
}

/** When the file, or the newest file in the directory, last changed; an installed package has no sources: never. */
function newestChange(path) {
  if (!existsSync(path)) return 0
  const found = statSync(path)
  if (!found.isDirectory()) return found.mtimeMs
  return Math.max(0, ...readdirSync(path).map((name) => newestChange(join(path, name))))
}

function compile() {
  if (existsSync(compiler)) return runCompiler()
  if (existsSync(main))
    return console.error('Sources changed, but TypeScript is not installed: starting what was compiled.')
  console.error('Nothing is compiled yet and TypeScript is not installed. Run `npm ci && npm start`.')
  process.exit(1)
}

/** Emits nothing when there is an error, so that what is compiled stays as old as it is. */
function runCompiler() {
  console.error('Compiling the sources …')
  const { status } = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.build.json', '--noEmitOnError'], {
    cwd: root,
    stdio: 'inherit'
  })
  if (status !== 0) process.exit(1)
  spawnSync(process.execPath, [join(root, 'scripts/build-playground.mjs')], { stdio: 'inherit' }) // a page less, if it fails
}
