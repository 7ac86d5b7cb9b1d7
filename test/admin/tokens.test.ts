// Named tokens: made and revoked by the command while the server runs; a viewer only reads; failures of others lock nobody out.
import assert from 'node:assert/strict'
import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { readConfig } from '../../src/config/read.ts'
import { addressKey } from '../../src/limits/address.ts'
import { callCli } from '../helpers/cli.ts'
import { temporaryDirectory } from '../helpers/database.ts'
import { startTestServer } from '../helpers/server.ts'
import { TOKEN } from './helpers.ts'

async function startWithTokens(t: Parameters<typeof startTestServer>[0], settings = {}) {
  const dataDir = await temporaryDirectory(t)
  const server = await startTestServer(t, { ADMIN_TOKEN: TOKEN, DATA_DIR: dataDir, ...settings })
  const ask = async (token: string, path: string, method = 'GET') => {
    const headers = { authorization: `Bearer ${token}` }
    const answer = await fetch(`${server.addresses.http}/admin${path}`, { method, headers })
    return { status: answer.status, body: (await answer.json()) as { type?: string; name?: string; role?: string } }
  }
  const cli = (...args: string[]) => callCli(['token', ...args], { DATA_DIR: dataDir })
  const create = async (name: string, role: string) => (await cli('create', name, '--role', role)).stdout.trim()
  return { server, dataDir, ask, cli, create }
}

test('a token works as soon as it is made, with its role, and ends when it is revoked', async (t) => {
  const { server, ask, cli, create } = await startWithTokens(t)
  await server.join('alice')
  const [viewer, admin] = [await create('grafana', 'viewer'), await create('carol', 'admin')]
  assert.match(viewer, /^[\w-]{43}$/)
  assert.deepEqual((await ask(viewer, '/token')).body, { name: 'grafana', role: 'viewer' })
  assert.deepEqual((await ask(TOKEN, '/token')).body, { name: 'admin', role: 'admin' })
  assert.equal((await ask(viewer, '/peers/signaling/alice')).status, 200)
  const refused = await ask(viewer, '/peers/signaling/alice', 'DELETE')
  assert.deepEqual([refused.status, refused.body.type], [403, '/docs/errors#forbidden'])
  assert.equal((await ask(viewer, '/queues/signaling/bob?dryRun=true', 'DELETE')).status, 403)
  assert.equal((await ask(admin, '/peers/signaling/alice', 'DELETE')).status, 200)

  const { stdout } = await cli('list')
  assert.match(stdout, /grafana +viewer/)
  assert.doesNotMatch(stdout, /[0-9a-f]{64}/)
  assert.equal((await cli('create', 'grafana')).code, 1)
  assert.equal((await cli('revoke', 'grafana')).code, 0)
  assert.equal((await ask(viewer, '/stats')).status, 401)
  assert.equal((await ask(admin, '/stats')).status, 200)
  assert.match((await cli('revoke', 'grafana')).stderr, /no token called grafana/)
  assert.equal((await cli('create', 'admin')).code, 2)
})

test('a file of tokens that breaks keeps those that were read; one that is broken at the start stops it', async (t) => {
  const { dataDir, ask, create } = await startWithTokens(t)
  const token = await create('carol', 'viewer')
  assert.equal((await ask(token, '/stats')).status, 200)
  for (const text of ['[', '{}', '[{"name":"x"}]']) {
    await writeFile(join(dataDir, 'tokens.json'), text)
    assert.equal((await ask(token, '/stats')).status, 200, text)
    await assert.rejects(startTestServer(t, { ADMIN_TOKEN: TOKEN, DATA_DIR: dataDir }), /tokens\.json is not a list/)
  }
})

test('whoever guesses, or shows no token, keeps nobody out that has one', async (t) => {
  const { ask, create } = await startWithTokens(t, { ADMIN_REQUESTS_PER_MINUTE: 5 })
  const viewer = await create('carol', 'viewer')
  for (let n = 0; n < 5; n++) assert.equal((await ask(`${TOKEN}${n}`, '/stats')).status, 401)
  assert.equal((await ask('x'.repeat(30), '/stats')).status, 429)
  for (let n = 0; n < 5; n++) assert.equal((await ask(TOKEN, '/stats')).status, 200)
  assert.equal((await ask(TOKEN, '/stats')).status, 429)
  assert.equal((await ask(viewer, '/stats')).status, 200, 'each token has requests of its own')
})

test('an IPv6 /64 is one address, and so are the spellings of an IPv4 address', () => {
  const same = ['2001:db8:0:1::1', '2001:DB8::1:ffff:0:0:2', '2001:0db8:0000:0001:9:9:9:9', '2001:db8:0:1::%eth0']
  assert.equal(new Set(same.map(addressKey)).size, 1, same.map(addressKey).join(' '))
  assert.notEqual(addressKey('2001:db8:0:2::1'), addressKey(same[0]!))
  assert.equal(addressKey('::ffff:192.0.2.1'), '192.0.2.1')
  assert.equal(addressKey('192.0.2.1'), '192.0.2.1')
})

test('a file with a secret that everybody can read is a warning at the start', async (t) => {
  const dataDir = await temporaryDirectory(t)
  const path = join(dataDir, 'secret')
  await writeFile(path, `${TOKEN}\n`)
  const env = { DATA_DIR: dataDir, ADMIN_TOKEN_FILE: path }
  await chmod(path, 0o644)
  assert.deepEqual(readConfig(env).warnings, [
    `${path} (ADMIN_TOKEN_FILE) can be read by every user of this machine. Take that away: chmod o-r`
  ])
  await chmod(path, 0o640)
  assert.deepEqual(readConfig(env).warnings, [])
})
