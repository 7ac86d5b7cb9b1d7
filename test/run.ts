/**
 * `npm test`: every test on a database this starts itself, but for those of `*.long.test.ts`, which `npm run test:long`
 * runs too. `npm test -- mailbox` runs the files with that in their path, and what else begins with a dash goes to node
 * (`--test-name-pattern=…`).
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readdir, rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { BrowserServer } from 'playwright-core'
import type { EmbeddedPostgres } from '../src/database/embedded/embedded-postgres.ts'
import { packageFile } from '../src/util/package-root.ts'
import { BROWSER_URL, startBrowser } from './helpers/chromium.ts'
import { compileTests } from './helpers/compile.ts'
import { ADMIN_URL, endStrayClusters, makeTestHome, startTestCluster, TEST_HOME } from './helpers/test-cluster.ts'

/** Longest a test may take, and (node 20 counts both alike) a whole file. The longest are a million generated frames. */
const TIMEOUT_MS = { short: 300_000, long: 2_400_000 }
const GRACE_MS = 5_000

const options = process.argv.slice(2).filter((argument) => argument.startsWith('-') && argument !== '--long')
const isLong = process.argv.includes('--long')
const files = await findFiles(process.argv.slice(2).filter((argument) => !argument.startsWith('-')))
if (files.length === 0) {
  process.stderr.write('no test file has that in its path\n')
  process.exit(1)
}

const home = await makeTestHome()
let compiled: string | undefined
let cluster: EmbeddedPostgres | undefined
let browser: BrowserServer | undefined
let tests: ChildProcess | undefined
let interrupted: NodeJS.Signals | undefined
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interrupt(signal))

try {
  compiled = await compileTests()
  cluster = await startTestCluster(home)
  browser = await startBrowser(files)
  process.exitCode = interrupted ? 1 : await runTests(compiled, cluster.url('postgres'), browser?.wsEndpoint())
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.stack : error}\n`)
  process.exitCode = 1
} finally {
  endGroup('SIGKILL')
  await browser?.close()
  await cluster?.stop()
  const strays = await endStrayClusters(home)
  if (strays > 0) process.stderr.write(`the tests left ${strays} Postgres servers running\n`)
  for (const directory of [home, compiled]) {
    if (directory !== undefined) await rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }
}
process.exit(interrupted ? 130 : process.exitCode)

async function findFiles(wanted: string[]): Promise<string[]> {
  const names = await readdir(packageFile('test'), { recursive: true })
  return names
    .filter((name) => name.endsWith('.test.ts') && (isLong || !name.endsWith('.long.test.ts')))
    .map((name) => join('test', name))
    .filter((path) => wanted.length === 0 || wanted.some((part) => path.includes(part.replace(/^\.\//, ''))))
    .sort()
}

/** Its own process group, so that nothing a test file started outlives the run. */
function runTests(directory: string, adminUrl: string, browserUrl?: string): Promise<number> {
  const standard = [
    '--enable-source-maps',
    '--test',
    `--test-reporter=${join(directory, 'test/helpers/reporter.js')}`,
    '--test-reporter-destination=stdout',
    `--test-concurrency=${availableParallelism() + 1}`, // much of a test is waiting
    `--test-timeout=${isLong ? TIMEOUT_MS.long : TIMEOUT_MS.short}`
  ]
  const programs = files.map((file) => join(directory, file.replace(/\.ts$/, '.js')))
  tests = spawn(process.execPath, [...standard, ...options, ...programs], {
    cwd: packageFile('.'),
    env: { ...process.env, [ADMIN_URL]: adminUrl, [TEST_HOME]: home, ...(browserUrl && { [BROWSER_URL]: browserUrl }) },
    stdio: ['ignore', 'inherit', 'inherit'],
    detached: true
  })
  return new Promise((resolve, reject) => {
    tests?.once('error', reject)
    tests?.once('close', (code) => resolve(code ?? 1))
  })
}

function interrupt(signal: NodeJS.Signals): void {
  if (interrupted) return
  interrupted = signal
  endGroup('SIGTERM')
  setTimeout(() => endGroup('SIGKILL'), GRACE_MS).unref()
}

function endGroup(signal: NodeJS.Signals): void {
  if (tests?.pid === undefined) return
  try {
    process.kill(-tests.pid, signal)
  } catch {
    // nobody of it is left
  }
}
