import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { packageFile } from '../../src/util/package-root.ts'

test('npm run bench builds the server, and relays, stores and drains with every message checked', async () => {
  const args = ['run', '--silent', 'bench', '--', '--quick', '--only', 'relay,offline', '--pairs', '1,5', '--json']
  const { stdout } = await promisify(execFile)('npm', args, { cwd: packageFile('.'), maxBuffer: 16_000_000 })
  const { ok, failures } = JSON.parse(stdout)
  assert.deepEqual({ ok, failures }, { ok: true, failures: [] })
})
