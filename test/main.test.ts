import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { readCall, readRequest } from '../src/cli/arguments.ts'
import { commandNamed } from '../src/cli/commands.ts'
import { SETTINGS } from '../src/config/settings.ts'
import { packageFile } from '../src/util/package-root.ts'
import { VERSION } from '../src/util/version.ts'
import { type Ended, runCli } from './helpers/cli.ts'
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
  const wrongDoor = await run(t, ['check-health'], { env: { RPC_SIGNALING_PORT: '0' } })
  assert.match(wrongDoor.stderr, /set RPC_SIGNALING_PORT/)
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

test('without arguments the server is started; asking for help or a check starts nothing', () => {
  const asked = (...args: string[]) => {
    const request = readRequest(args)
    return request.ask === 'run' ? [request.command.name, ...request.rest] : [request.ask]
  }
  assert.deepEqual(asked(), ['serve'])
  assert.deepEqual(asked('serve'), ['serve'])
  assert.deepEqual(asked('serve', '--check-config'), ['check-config'])
  assert.deepEqual(asked('--check-config', '--help'), ['help'])
  assert.deepEqual(asked('serve', '--help'), ['help'])
  assert.deepEqual(asked('--version'), ['version'])
  assert.throws(() => readCall(commandNamed('serve')!, ['--port']), /unknown argument "--port"/)
})

test('audit is told apart from the rest: its own help, its own exit codes, wrong settings first', async (t) => {
  const help = await run(t, ['audit', '--help'])
  assert.deepEqual([help.code, help.stderr], [0, ''])
  assert.match(help.stdout, /^Usage: demos-relay audit verify/)
  for (const line of help.stdout.split('\n')) assert.ok(line.length <= 80, line)
  assert.equal((await run(t, ['audit', 'veryfy'])).code, 2)
  assert.equal((await run(t, ['audit', 'verify'], { env: { LOG_LEVEL: 'loud' } })).code, 78)
  const unreachable = await run(t, ['audit', 'verify', '--from-url', 'http://127.0.0.1:1'])
  assert.equal(unreachable.code, 1)
  assert.match(unreachable.stdout, /^audit verify: FAILED, /m)
})
