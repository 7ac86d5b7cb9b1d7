// A log served by the real plugin, verified by Go's golang.org/x/mod/sumdb: see test/audit/go/main.go.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { packageFile } from '../../src/package-root.ts'
import { readEntries } from '../../src/store/audit-entry.ts'
import { findLog } from '../../src/store/audit-log.ts'
import { temporaryDirectory } from '../helpers/database.ts'
import { messages, openTestTrail, startAuditServer } from './helpers.ts'

const run = promisify(execFile)
/** Where Debian's Go libraries lie: a GOPATH, not modules. */
const DEBIAN_GOPATH = '/usr/share/gocode'

const missing = await missingProgram()
const options = missing === undefined || process.env.CI === 'true' ? {} : { skip: missing }
if (missing !== undefined) console.log(`test/audit/foreign: ${missing}`)

async function missingProgram(): Promise<string | undefined> {
  if (!existsSync(`${DEBIAN_GOPATH}/src/golang.org/x/mod/sumdb/tlog`)) return 'golang-golang-x-mod-dev is not installed'
  return run('go', ['version']).then(
    () => undefined,
    () => 'go is not installed'
  )
}

async function buildVerifier(t: TestContext): Promise<string> {
  assert.equal(missing, undefined, 'CI needs the packages of scripts/install-test-programs.sh')
  const directory = await temporaryDirectory(t)
  const program = join(directory, 'verify-log')
  const environment = { GO111MODULE: 'off', GOPATH: DEBIAN_GOPATH, GOFLAGS: '', GOCACHE: join(directory, 'cache') }
  await run('go', ['build', '-o', program, packageFile('test/audit/go/main.go')], {
    env: { ...process.env, ...environment }
  })
  return program
}

test(
  'a program that shares nothing with us verifies signature, tiles, records and proofs of a real log',
  options,
  async (t) => {
    const program = await buildVerifier(t)
    const trail = await openTestTrail(t, { batchEvents: 1_000 })
    await trail.record(messages(300))
    const older = (await findLog(trail.sql, 'signaling'))!.publishedNote!
    await trail.record(messages(1_000))
    const log = (await findLog(trail.sql, 'signaling'))!
    const entries = await readEntries(trail.sql, log.id, 0, log.size)
    const files = { records: join(trail.dataDir, 'records'), older: join(trail.dataDir, 'older') }
    await writeFile(files.records, entries.map(({ entry }) => `${entry.toString()}\n`).join(''))
    await writeFile(files.older, older)
    const server = await startAuditServer(t, trail)
    const { stdout } = await run(program, [server.url, 'signaling', files.records, files.older])
    assert.equal(
      stdout,
      'go: 1300 records and every tile under the root signed by relay.example/logs/signaling, which continues its tree of 300\n'
    )
    t.diagnostic(stdout.trim())

    await writeFile(files.records, entries.map(({ entry }, index) => `${entry}${index === 700 ? ' ' : ''}\n`).join(''))
    await assert.rejects(
      run(program, [server.url, 'signaling', files.records, files.older]),
      /record 700 is not what its tile says/
    )
    await writeFile(files.older, older.replace('\n300\n', '\n299\n'))
    await assert.rejects(run(program, [server.url, 'signaling', files.records, files.older]), /FAILED, checkpoint/)
  }
)
