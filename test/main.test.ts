import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { SETTINGS } from '../src/config/settings.ts'
import { packageFile, VERSION } from '../src/util/package-root.ts'
import { callCli, type Ended, runCli } from './helpers/cli.ts'
import { temporaryDirectory } from './helpers/database.ts'
import { startTestServer } from './helpers/server.ts'

interface Call {
  env?: Record<string, string>
  dotEnv?: string
}

/** Runs the real program in an empty directory, with no settings but the given ones. */
async function run(t: TestContext, args: string[], { env = {}, dotEnv }: Call = {}): Promise<Ended> {
  const cwd = await temporaryDirectory(t)
  if (dotEnv !== undefined) writeFileSync(join(cwd, '.env'), dotEnv)
  return runCli(t, args, { env, cwd })
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

test('an unknown option ends with 2 and prints the usage', async (t) => {
  const { code, stdout, stderr } = await run(t, ['--prot', '3005'])
  assert.deepEqual([code, stdout], [2, ''])
  assert.match(stderr, /^demos-relay: unknown option '--prot'\n\nUsage: demos-relay/)
})

test('--check-config of good settings ends with 0 and mentions misspelled names', async (t) => {
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

test('--check-config looks at the certificate as a start does', async (t) => {
  const env = { TLS_CERT_FILE: packageFile('package.json'), TLS_KEY_FILE: packageFile('package.json') }
  const { code, stderr } = await run(t, ['--check-config'], { env })
  assert.equal(code, 78)
  assert.match(stderr, /^ {2}TLS_CERT_FILE holds no certificate in PEM\.$/m)
})

test('check-health ends with 0 when the server with these settings lives, else with 1 and the reason', async (t) => {
  const { addresses } = await startTestServer(t)
  const { port } = new URL(addresses.http)
  const asked = await run(t, ['check-health'], { env: { RPC_SIGNALING_PORT: port } })
  assert.deepEqual(asked, { code: 0, stdout: '', stderr: '' })
  const wrongPort = await run(t, ['check-health'], { env: { RPC_SIGNALING_PORT: '0' } })
  assert.match(wrongPort.stderr, /set RPC_SIGNALING_PORT/)
  const nobody = await run(t, ['check-health'], { env: { RPC_SIGNALING_PORT: '1' } })
  assert.equal(nobody.code, 1)
  assert.match(nobody.stderr, /^demos-relay check-health: No server at port 1: /)
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

test('without arguments the server is started; asking for help or a check starts nothing', async () => {
  const outcome = async (...args: string[]) => {
    const { code, stdout, stderr } = await callCli(args)
    if (stderr.includes('a test that serves needs a process of its own')) return 'serve'
    return stdout.startsWith('Usage: ') ? 'help' : `${code} ${stdout}${stderr}`
  }
  assert.equal(await outcome(), 'serve')
  assert.equal(await outcome('serve'), 'serve')
  assert.equal(await outcome('serve', '--check-config'), '0 The settings are fine.\n')
  assert.equal(await outcome('--check-config', '--help'), 'help')
  assert.equal(await outcome('serve', '--help'), 'help')
  for (const version of ['--version', '-v', 'version']) assert.equal(await outcome(version), `0 ${VERSION}\n`)
  assert.match(await outcome('serve', '--port'), /^2 demos-relay: unknown option '--port'/)
})

test('audit has its own help and exit codes, and reads the settings first', async (t) => {
  const help = await run(t, ['audit', '--help'])
  assert.deepEqual([help.code, help.stderr], [0, ''])
  assert.match(help.stdout, /^Usage: demos-relay audit /)
  for (const line of help.stdout.split('\n')) assert.ok(line.length <= 80, line)
  assert.equal((await run(t, ['audit', 'veryfy'])).code, 2)
  assert.equal((await run(t, ['audit', 'verify'], { env: { LOG_LEVEL: 'loud' } })).code, 78)
  const unreachable = await run(t, ['audit', 'verify', '--from-url', 'http://127.0.0.1:1'])
  assert.equal(unreachable.code, 1)
  assert.match(unreachable.stdout, /^audit verify: FAILED, /m)
})
