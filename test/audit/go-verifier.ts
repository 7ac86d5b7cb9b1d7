// The Go program of test/audit/go, which verifies a log with golang.org/x/mod/sumdb and nothing of ours.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { packageFile } from '../../src/util/package-root.ts'
import { temporaryDirectory } from '../helpers/database.ts'
import { TEST_HOME } from '../helpers/test-cluster.ts'

const run = promisify(execFile)
/** Where Debian's Go libraries lie: a GOPATH, not modules. */
const DEBIAN_GOPATH = '/usr/share/gocode'
/** Shared by the tests of a run: compiling the standard library takes longer than they do. */
const GO_CACHE = join(process.env[TEST_HOME] ?? tmpdir(), 'go-cache')

/** Why the program cannot be built here; undefined: it can. */
export async function missingForGo(): Promise<string | undefined> {
  if (!existsSync(`${DEBIAN_GOPATH}/src/golang.org/x/mod/sumdb/tlog`)) return 'golang-golang-x-mod-dev is not installed'
  return run('go', ['version']).then(
    () => undefined,
    () => 'go is not installed'
  )
}

/** Of a test that needs the program: without it the test is skipped, but not in CI. */
export async function needsGo(): Promise<{ skip?: string }> {
  const missing = await missingForGo()
  return missing === undefined || process.env.CI === 'true' ? {} : { skip: missing }
}

export interface LogToVerify {
  readonly network?: string
  /** Signed before; the log must continue each of them. */
  readonly older: readonly string[]
  /** What the log must hold; default: what its bundles hold. */
  readonly records?: readonly Uint8Array[]
  /** Opens the bundles. */
  readonly token?: string
}

export interface GoVerifier {
  /** Verifies a log that a server shows; resolves with its closing line. */
  verify(url: string, log: LogToVerify): Promise<string>
}

export async function buildGoVerifier(t: TestContext): Promise<GoVerifier> {
  assert.equal(await missingForGo(), undefined, 'CI needs the packages of scripts/install-test-programs.sh')
  const directory = await temporaryDirectory(t)
  const program = join(directory, 'verify-log')
  const environment = { GO111MODULE: 'off', GOPATH: DEBIAN_GOPATH, GOFLAGS: '', GOCACHE: GO_CACHE }
  await run('go', ['build', '-o', program, packageFile('test/audit/go/main.go')], {
    env: { ...process.env, ...environment }
  })
  return {
    verify: async (url, { network = 'signaling', older, records, token = '' }) => {
      const notes = await temporaryDirectory(t)
      await Promise.all(older.map((note, place) => writeFile(join(notes, String(place)), note)))
      const given = records === undefined ? [] : [join(directory, 'records')]
      for (const file of given) await writeFile(file, records!.map((record) => `${Buffer.from(record)}\n`).join(''))
      const env = { ...process.env, ADMIN_TOKEN: token }
      return (await run(program, [url, network, notes, ...given], { env })).stdout.trim()
    }
  }
}
