/**
 * `npm test`: every test on a database this starts itself. `npm test -- mailbox` runs the files with that in their path,
 * and what begins with a dash goes to node (`--test-name-pattern=…`).
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { chmod, mkdtemp, readdir, realpath, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { EmbeddedPostgres } from '../src/database/embedded/embedded-postgres.ts'
import { packageFile } from '../src/util/package-root.ts'
import { ADMIN_URL, endStrayClusters, startTestCluster, TEST_HOME } from './helpers/test-cluster.ts'

/** Longest a test may take, and (node 20 counts both alike) a whole file. */
const TIMEOUT_MS = 300_000
const GRACE_MS = 5_000

const files = await findFiles(process.argv.slice(2).filter((argument) => !argument.startsWith('-')))
if (files.length === 0) {
  process.stderr.write('no test file has that in its path\n')
  process.exit(1)
}

const home = await realpath(await mkdtemp(join(tmpdir(), 'demos-relay-test-')))
await chmod(home, 0o711) // run by root, Postgres is another user who has to pass here
let cluster: EmbeddedPostgres | undefined
let tests: ChildProcess | undefined
let interrupted: NodeJS.Signals | undefined
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interrupt(signal))

try {
  cluster = await startTestCluster(home)
  process.exitCode = interrupted ? 1 : await runTests(cluster.url('postgres'))
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.stack : error}\n`)
  process.exitCode = 1
} finally {
  endGroup('SIGKILL')
  await cluster?.stop()
  const strays = await endStrayClusters(home)
  if (strays > 0) process.stderr.write(`the tests left ${strays} Postgres servers running\n`)
  await rm(home, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
}
process.exit(interrupted ? 130 : process.exitCode)

async function findFiles(wanted: string[]): Promise<string[]> {
  const names = await readdir(packageFile('test'), { recursive: true })
  return names
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join('test', name))
    .filter((path) => wanted.length === 0 || wanted.some((part) => path.includes(part.replace(/^\.\//, ''))))
    .sort()
}

/** Its own process group, so that nothing a test file started outlives the run. */
function runTests(adminUrl: string): Promise<number> {
  const options = process.argv.slice(2).filter((argument) => argument.startsWith('-'))
  const standard = [
    '--test-reporter=spec',
    `--test-concurrency=${Math.max(2, availableParallelism())}`,
    `--test-timeout=${TIMEOUT_MS}`
  ]
  tests = spawn(process.execPath, ['--import', 'tsx', '--test', ...standard, ...options, ...files], {
    cwd: packageFile('.'),
    env: { ...process.env, [ADMIN_URL]: adminUrl, [TEST_HOME]: home },
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
