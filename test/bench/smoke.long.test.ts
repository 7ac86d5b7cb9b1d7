import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { packageFile } from '../../src/util/package-root.ts'
import { needs } from '../helpers/programs.ts'

const run = async (...args: string[]) => {
  const command = ['run', '--silent', 'bench', '--', '--quick', '--json', ...args]
  const { stdout } = await promisify(execFile)('npm', command, { cwd: packageFile('.'), maxBuffer: 16_000_000 })
  return JSON.parse(stdout)
}

test('npm run bench builds the server, and relays, stores, drains, reads back and does without an audit trail, every message checked', async () => {
  const { ok, failures } = await run('--only', 'relay,offline,history,audit', '--pairs', '1,5')
  assert.deepEqual({ ok, failures }, { ok: true, failures: [] })
})

test('relays by way of NATS are measured beside a JetStream', needs('nats-server'), async () => {
  const { ok, failures, rows } = await run('--relays', '1,2', '--bus', 'nats', '--protocol', 'signaling')
  assert.deepEqual({ ok, failures }, { ok: true, failures: [] })
  assert.match(rows[0].other.what, /^NATS JetStream \d/)
  assert.ok(rows[0].other.median > 0)
  const cost = rows.find(({ title }: { title: string }) => title === '2 relays, nats: processor time')
  assert.ok(cost.facts.serverNatsMicros >= 0)
})
