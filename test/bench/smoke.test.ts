// The benchmark works: its smallest run ends well, and both of its reports can be read. No figure is judged. It measures
// the server that is compiled already; smoke.long.test.ts has it build one.
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { packageFile } from '../../src/util/package-root.ts'
import { temporaryDirectory } from '../helpers/database.ts'
import { OWN_OPTIONS, ownFile } from '../helpers/own-program.ts'
import { postgresUnder } from '../helpers/processes.ts'

const run = promisify(execFile)
const SECONDS = 120

/** Runs the benchmark; resolves with what it printed, and its exit code. */
async function bench(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const command = [...OWN_OPTIONS, ownFile('bench/main.ts'), ...args]
  const options = { cwd: packageFile('.'), timeout: SECONDS * 1_000, maxBuffer: 16_000_000 }
  return run(process.execPath, command, options).then(
    (output) => ({ code: 0, ...output }),
    (error) => ({ code: error.code ?? -1, stdout: error.stdout, stderr: error.stderr })
  )
}

test('a quick relay run ends well, prints a row for each pair and protocol, and one line of JSON', async () => {
  const { code, stdout, stderr } = await bench(
    '--quick',
    '--only',
    'relay',
    '--pairs',
    '1',
    '--body',
    '64',
    '--server',
    ownFile('src/main.ts')
  )
  assert.equal(code, 0, `${stdout}\n${stderr}`)
  const lines = stdout.trimEnd().split('\n')
  const report = JSON.parse(lines.pop()!)
  assert.equal(report.ok, true)
  assert.deepEqual(report.failures, [])
  const protocols: string[] = report.rows.map((row: { protocol: string }) => row.protocol)
  assert.deepEqual([...new Set(protocols)], ['signaling', 'l2ps'])
  for (const { scenario, verification } of report.rows) {
    assert.equal(scenario, 'relay')
    assert.ok(verification === undefined || verification.received > 0)
  }
  assert.match(lines[0]!, /^scenario .*this server .*ratio/)
  assert.equal(lines.filter((line) => /^relay (signaling|l2ps) /.test(line)).length, report.rows.length)
})

test('a quick run of two relays says what crossing costs each process', async () => {
  const args = ['--quick', '--relays', '2', '--bus', 'postgres', '--protocol', 'l2ps', '--body', '64', '--json']
  const { code, stdout, stderr } = await bench(...args, '--server', ownFile('src/main.ts'))
  assert.equal(code, 0, `${stdout}\n${stderr}`)
  const { ok, failures, rows } = JSON.parse(stdout)
  assert.deepEqual({ ok, failures }, { ok: true, failures: [] })
  const titles = rows.map((row: { title: string }) => row.title.replace('2 relays, postgres: ', ''))
  assert.deepEqual(titles, ['crossing', 'processor time', '500/s, p50', '500/s, p99', 'two-way, crossing'])
  const processes = Object.keys(rows[1].facts).filter((name) => /^server.*Micros$/.test(name))
  assert.deepEqual(processes, ['serverRelay1Micros', 'serverRelay2Micros', 'serverPostgresMicros'])
  for (const { verification } of rows) assert.ok(verification === undefined || verification.received > 0)
})

test('a benchmark that is not there, and an option that is none, are refused with the help', async () => {
  for (const args of [['--only', 'nothing'], ['--pairs', 'many'], ['--relays', '0'], ['--bus', 'yellow'], ['--fast']]) {
    const { code, stderr } = await bench(...args)
    assert.equal(code, 2)
    assert.match(stderr, /npm run bench -- \[options\]/)
  }
})

test('the least relay that stores is something to compare with, in both protocols', async () => {
  const args = ['--quick', '--only', 'relay,storm', '--pairs', '1', '--body', '64', '--json', '--beside', 'storing']
  const { code, stdout, stderr } = await bench(...args, '--server', ownFile('src/main.ts'))
  assert.equal(code, 0, `${stdout}\n${stderr}`)
  const { ok, failures, rows } = JSON.parse(stdout)
  assert.deepEqual({ ok, failures }, { ok: true, failures: [] })
  for (const { scenario, other, facts } of rows) {
    assert.equal(other.what, 'storing relay')
    if (scenario === 'relay') assert.ok(facts.otherDatabaseMicrosPerMessage > 0, 'it stores what it relays')
  }
})

test('a build that is not there is said before anything starts', async () => {
  for (const option of ['--server', '--beside']) {
    const { code, stderr } = await bench(option, 'nowhere/main.js')
    assert.equal(code, 2)
    assert.match(stderr, new RegExp(`^${option}: there is no file nowhere/main.js`))
  }
})

test('a benchmark that nobody reads any more stops, and leaves neither a process nor a file behind', async (t) => {
  const home = await temporaryDirectory(t)
  const args = ['--quick', '--only', 'relay', '--pairs', '1', '--data-dir', home, '--server', ownFile('src/main.ts')]
  const child = spawn(process.execPath, [...OWN_OPTIONS, ownFile('bench/main.ts'), ...args], {
    cwd: packageFile('.'),
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const ended = once(child, 'exit')
  await once(child.stderr, 'data') // the first run is over
  child.stdout.destroy()
  child.stderr.destroy()
  assert.deepEqual(await ended, [130, null])
  assert.deepEqual(postgresUnder(home), [])
  assert.deepEqual(await readdir(home), [])
})
