// The real program where a platform gives it less than a developer has: it starts, and says what it lacks.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { createTestDatabase, temporaryDirectory, usedDataDirectory } from './helpers/database.ts'
import { assertPlain } from './helpers/plain-words.ts'
import { AS_NAMELESS, needsNamespaces, readOnlyBut, type Started, startProgram } from './helpers/start-program.ts'

const namespaces = await needsNamespaces()

/** Where it keeps its own, beside a database of its own. */
async function places(t: TestContext) {
  return { DATA_DIR: await temporaryDirectory(t), DATABASE_URL: (await createTestDatabase(t)).url }
}

function isReady({ code, output, reasons }: Started): void {
  assert.equal(code, 0, output)
  assert.match(output, /server ready/)
  assert.deepEqual(reasons, [])
}

test('variables of a platform change nothing', async (t) => {
  isReady(
    await startProgram(t, {
      ...(await places(t)),
      ...{ PGSSLMODE: 'verify-full', PGOPTIONS: '-c nothing=x', PGTARGETSESSIONATTRS: 'any', PGSERVICE: 'nothing' },
      ...{ PGPORT: 'x', PGHOST: 'nowhere', PGPASSFILE: '/nowhere', SIGNALING_SERVER_PORT: 'tcp://10.0.0.1:80' },
      ...{ SSL_CERT_FILE: '/nowhere', SSL_CERT_DIR: '/nowhere' }
    })
  )
})

test('a .env that is no file is ignored, with a warning', async (t) => {
  const cwd = await temporaryDirectory(t)
  await mkdir(join(cwd, '.env'))
  const started = await startProgram(t, await places(t), { cwd })
  isReady(started)
  assert.match(started.output, /"level":"warn".*\.env cannot be read \(EISDIR\) and is ignored/)
})

test('a .env that may not be read, a user without a name, no HOME', namespaces, async (t) => {
  const cwd = await temporaryDirectory(t)
  await writeFile(join(cwd, '.env'), 'LOG_LEVEL=loud\n')
  await chmod(join(cwd, '.env'), 0)
  const started = await startProgram(t, await places(t), { cwd, within: AS_NAMELESS })
  isReady(started)
  assert.match(started.output, /"level":"warn".*\.env cannot be read \(EACCES\) and is ignored/)
})

test('nothing is written but in DATA_DIR', namespaces, async (t) => {
  const env = await places(t)
  isReady(await startProgram(t, env, { within: readOnlyBut(env.DATA_DIR) }))
})

test(
  'the embedded database of a user without a name: the first start is refused in a sentence',
  namespaces,
  async (t) => {
    const home = await temporaryDirectory(t)
    const { code, reasons } = await startProgram(t, { DATA_DIR: home }, { within: AS_NAMELESS })
    assert.equal(code, 1)
    assert.equal(reasons.length, 1)
    assert.match(reasons[0]!, /a user without a name, and 31337 has none in \/etc\/passwd: .*or set DATABASE_URL$/)
    assertPlain(reasons[0], 'no name')
  }
)

test('the embedded database of a user without a name: later starts need none', namespaces, async (t) => {
  const home = await usedDataDirectory(t)
  await promisify(execFile)('chown', ['-R', `${process.getuid!()}:${process.getgid!()}`, home])
  isReady(await startProgram(t, { DATA_DIR: home }, { within: readOnlyBut(home) }))
})
