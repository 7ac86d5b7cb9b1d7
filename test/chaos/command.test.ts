// npm run chaos as a person calls it.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { OWN_OPTIONS, ownFile } from '../helpers/own-program.ts'
import { NEMESIS_NAMES } from './nemeses.ts'

const run = promisify(execFile)
const chaos = (...args: string[]) =>
  run(process.execPath, [...OWN_OPTIONS, ownFile('scripts/chaos.ts'), ...args], { timeout: 100_000 })

test('the help names every fault, and a wrong argument is answered with it and exit code 2', async () => {
  const { stdout } = await chaos('--help')
  for (const name of NEMESIS_NAMES) assert.ok(stdout.includes(name), name)
  const wrong = [['--minutes', 'soon'], ['--seed', '-1'], ['--nemesis', 'server-kill,flood'], ['--fast'], ['more']]
  await Promise.all(
    wrong.map((args) =>
      assert.rejects(chaos(...args), ({ code, stderr }: { code: number; stderr: string }) => {
        assert.equal(code, 2, stderr)
        assert.ok(stderr.endsWith(stdout), stderr)
        return true
      })
    )
  )
})

test('the shortest run prints one line of JSON with the seed and a row for its fault', async () => {
  const { stdout } = await chaos('--minutes', '0', '--seed', '7', '--nemesis', 'reset-mid-frame', '--json')
  const { ok, seed, rows, problems } = JSON.parse(stdout)
  assert.deepEqual({ ok, seed, problems }, { ok: true, seed: 7, problems: [] })
  assert.deepEqual(
    rows.map(({ fault, lost }: { fault: string; lost: number }) => [fault, lost]),
    [['reset-mid-frame', 0]]
  )
})
