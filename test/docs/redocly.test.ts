// A linter from outside judges the OpenAPI document.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { packageFile } from '../../src/util/package-root.ts'
import { temporaryDirectory } from '../helpers/database.ts'
import { startTestServer } from '../helpers/server.ts'

const run = promisify(execFile)

test('redocly finds nothing wrong with the OpenAPI document, and a fault where there is one', async (t) => {
  const { app } = await startTestServer(t)
  const document = (await app.inject('/docs/openapi.json')).json()
  const path = join(await temporaryDirectory(t), 'openapi.json')
  const cli = join(dirname(createRequire(import.meta.url).resolve('@redocly/cli/package.json')), 'bin/cli.js')
  const lint = async (content: object) => {
    await writeFile(path, JSON.stringify(content))
    const options = { env: { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' } }
    const args = [cli, 'lint', path, `--config=${packageFile('redocly.yaml')}`, '--format=json']
    const { stdout } = await run(process.execPath, args, options).catch((error: { stdout: string }) => error)
    const { problems } = JSON.parse(stdout) as { problems: { message: string; severity: string }[] }
    return problems.map(({ severity, message }) => `${severity}: ${message}`)
  }
  assert.deepEqual(await lint(document), [])
  const { servers: _, ...faulty } = document
  assert.deepEqual(await lint(faulty), ['error: Servers must be present.'])
})
