import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parseArguments } from '../src/cli.ts'
import { SETTINGS } from '../src/config/settings.ts'
import { packageFile } from '../src/package-root.ts'
import { VERSION } from '../src/version.ts'

interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

interface Call {
  env?: Record<string, string>
  dotEnv?: string
}

/** Runs the real program in an empty directory, with no settings but the given ones. */
async function run(t: TestContext, args: string[], { env = {}, dotEnv }: Call = {}): Promise<Ended> {
  const cwd = mkdtempSync(join(tmpdir(), 'demos-relay-main-'))
  t.after(() => rmSync(cwd, { recursive: true }))
  if (dotEnv !== undefined) writeFileSync(join(cwd, '.env'), dotEnv)
  const loader = import.meta.resolve('tsx')
  const child = spawn(process.execPath, ['--import', loader, packageFile('src/main.ts'), ...args], {
    cwd,
    env: { PATH: process.env.PATH, ...env }
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (text) => (stdout += text))
  child.stderr.on('data', (text) => (stderr += text))
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { code, stdout, stderr }
}

test('--help tells the commands, the exit codes and every setting, in 80 columns', async (t) => {
  const { code, stdout, stderr } = await run(t, ['--help'])
  assert.deepEqual([code, stderr], [0, ''])
  for (const word of ['serve', 'check-config', '--version', ...SETTINGS.map(({ name }) => name)]) {
    assert.ok(stdout.includes(word), word)
  }
  for (const line of stdout.split('\n')) assert.ok(line.length <= 80, line)
})

test('--version tells the version of the package', async (t) => {
  assert.deepEqual(await run(t, ['--version']), { code: 0, stdout: `${VERSION}\n`, stderr: '' })
})

test('an unknown argument ends with 2 and says how to call the program', async (t) => {
  const { code, stdout, stderr } = await run(t, ['--prot', '3005'])
  assert.deepEqual([code, stdout], [2, ''])
  assert.match(stderr, /^demos-relay: unknown argument "--prot"\n\nUsage: demos-relay/)
})

test('--check-config of good settings ends with 0 and mentions slips', async (t) => {
  const { code, stdout, stderr } = await run(t, ['--check-config'], { env: { LOG_LEVL: 'debug' } })
  assert.deepEqual([code, stdout], [0, 'The settings are fine.\n'])
  assert.equal(stderr, 'warning: LOG_LEVL is not a setting and is ignored. Did you mean LOG_LEVEL?\n')
})

test('--check-config of wrong settings ends with 78 and a line for each mistake, without secrets', async (t) => {
  const env = { LOG_LEVEL: 'loud', RPC_SIGNALING_PORT: 'http', DATABASE_URL: 'mysql://relay:correct-horse@db/relay' }
  const { code, stdout, stderr } = await run(t, ['--check-config'], { env })
  assert.deepEqual([code, stdout], [78, ''])
  assert.equal(stderr.trim().split('\n').length, 4)
  for (const name of Object.keys(env)) assert.match(stderr, new RegExp(`^ {2}${name} must be `, 'm'))
  assert.doesNotMatch(stderr, /correct-horse/)
})

test('serving with wrong settings ends with 78 before anything starts', async (t) => {
  const { code, stdout, stderr } = await run(t, [], { env: { HEARTBEAT_SECONDS: '0' } })
  assert.deepEqual([code, stdout], [78, ''])
  assert.match(stderr, /HEARTBEAT_SECONDS must be a whole number from 1/)
})

test('.env adds to the environment, and the environment wins', async (t) => {
  const wrong = await run(t, ['check-config'], { dotEnv: 'LOG_LEVEL=loud\n' })
  assert.equal(wrong.code, 78)
  const overruled = await run(t, ['check-config'], { dotEnv: 'LOG_LEVEL=loud\n', env: { LOG_LEVEL: 'info' } })
  assert.equal(overruled.code, 0)
})

test('without arguments the server is started; asking for help or a check starts nothing', () => {
  assert.deepEqual(parseArguments([]), { command: 'serve' })
  assert.deepEqual(parseArguments(['serve']), { command: 'serve' })
  assert.deepEqual(parseArguments(['serve', '--check-config']), { command: 'check-config' })
  assert.deepEqual(parseArguments(['serve', '--help']), { command: 'help' })
  assert.deepEqual(parseArguments(['serve', '--port']), { unknown: '--port' })
})
