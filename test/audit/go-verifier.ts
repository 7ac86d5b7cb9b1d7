// The Go program of test/audit/go, which verifies a log with golang.org/x/mod/sumdb and nothing of ours.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { packageFile } from '../../src/package-root.ts'
import { temporaryDirectory } from '../helpers/database.ts'

const run = promisify(execFile)
/** Where Debian's Go libraries lie: a GOPATH, not modules. */
const DEBIAN_GOPATH = '/usr/share/gocode'

/** Why the program cannot be built here; undefined: it can. */
export async function missingForGo(): Promise<string | undefined> {
  if (!existsSync(`${DEBIAN_GOPATH}/src/golang.org/x/mod/sumdb/tlog`)) return 'golang-golang-x-mod-dev is not installed'
  return run('go', ['version']).then(
    () => undefined,
    () => 'go is not installed'
  )
}

export interface GoVerifier {
  /** Verifies the log a server shows, against its records and an older checkpoint; resolves with its closing line. */
  verify(url: string, records: readonly Uint8Array[], olderCheckpoint: string): Promise<string>
}

export async function buildGoVerifier(t: TestContext): Promise<GoVerifier> {
  assert.equal(await missingForGo(), undefined, 'CI needs the packages of scripts/install-test-programs.sh')
  const directory = await temporaryDirectory(t)
  const program = join(directory, 'verify-log')
  const environment = { GO111MODULE: 'off', GOPATH: DEBIAN_GOPATH, GOFLAGS: '', GOCACHE: join(directory, 'cache') }
  await run('go', ['build', '-o', program, packageFile('test/audit/go/main.go')], {
    env: { ...process.env, ...environment }
  })
  const files = { records: join(directory, 'records'), older: join(directory, 'older') }
  return {
    verify: async (url, records, olderCheckpoint) => {
      await writeFile(files.records, records.map((record) => `${Buffer.from(record)}\n`).join(''))
      await writeFile(files.older, olderCheckpoint)
      return (await run(program, [url, 'signaling', files.records, files.older])).stdout.trim()
    }
  }
}
