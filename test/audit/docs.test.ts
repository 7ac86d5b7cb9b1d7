// The recipe of docs/audit.md, as a reader would run it.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { readEntries } from '../../src/store/audit-entry.ts'
import { findLog } from '../../src/store/audit-log.ts'
import { packageFile } from '../../src/util/package-root.ts'
import { temporaryDirectory } from '../helpers/database.ts'
import { messages, openTestTrail, startAuditServer } from './helpers.ts'

const run = promisify(execFile)

const missing = await run('bash', [
  '-c',
  'curl --version && openssl version | grep "OpenSSL 3" && sha256sum --version'
]).then(
  () => undefined,
  () => 'bash, curl, sha256sum or OpenSSL 3 is not installed'
)
const options = missing === undefined || process.env.CI === 'true' ? {} : { skip: missing }

test(
  'the recipe for verifying by hand works with openssl and coreutils, and fails for a changed record',
  options,
  async (t) => {
    const recipe = /```sh\n(.*?)```/s.exec(await readFile(packageFile('docs/audit.md'), 'utf8'))![1]!
    const trail = await openTestTrail(t, { batchEvents: 1_000 })
    await trail.record(messages(700))
    const log = (await findLog(trail.sql, 'signaling'))!
    const { url } = await startAuditServer(t, trail)
    for (const index of [0, 300, 699]) {
      const cwd = await temporaryDirectory(t)
      const [record] = await readEntries(trail.sql, log.id, index, index + 1)
      const hash = createHash('sha256').update(record!.entry).digest('hex')
      const env = { ...process.env, RELAY: url, NETWORK: 'signaling', HASH: hash }
      const verify = () => run('bash', ['-euo', 'pipefail', '-c', recipe], { cwd, env })
      await writeFile(join(cwd, 'record'), record!.entry)
      assert.match((await verify()).stdout, /Signature Verified Successfully\nthe record is under the signed root\n$/)
      await writeFile(join(cwd, 'record'), `${record!.entry} `)
      await assert.rejects(verify())
    }
  }
)
