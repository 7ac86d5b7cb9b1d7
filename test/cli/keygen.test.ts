import assert from 'node:assert/strict'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadAdminToken } from '../../plugins/admin/token.ts'
import { loadNodeKey, nodeIdentity, nodeVerifier } from '../../src/audit/node-key.ts'
import { readSubnetKey } from '../../src/cli/chat-keys.ts'
import { parseVerifier } from '../../src/tlog/note.ts'
import { callCli } from '../helpers/cli.ts'
import { temporaryDirectory } from '../helpers/database.ts'

const modeOf = async (path: string) => (await stat(path)).mode & 0o777

test('keygen makes the node key where the server looks for it, and prints its verifier line', async (t) => {
  const dataDir = await temporaryDirectory(t)
  const { code, stdout } = await callCli(['keygen'], { DATA_DIR: dataDir, AUDIT_ORIGIN: 'relay.example/audit' })
  assert.equal(code, 0)
  const path = join(dataDir, 'node.key')
  const expected = nodeVerifier(nodeIdentity(await loadNodeKey(path), 'relay.example/audit'))
  assert.deepEqual(parseVerifier(stdout.trim()), expected)
  assert.equal(await modeOf(path), 0o600)
})

test('a key that is there is never lost: refused, or with --force kept beside the new one', async (t) => {
  const dataDir = await temporaryDirectory(t)
  for (const [command, name] of [
    [['keygen'], 'node.key'],
    [['keygen', 'admin-token'], 'admin.token']
  ] as const) {
    const env = { DATA_DIR: dataDir }
    assert.equal((await callCli(command, env)).code, 0)
    const first = await readFile(join(dataDir, name), 'utf8')
    const again = await callCli(command, env)
    assert.deepEqual([again.code, again.stdout], [1, ''])
    assert.match(again.stderr, /is there already, and nothing was changed\. --force makes another one/)
    assert.equal(await readFile(join(dataDir, name), 'utf8'), first)
    assert.equal((await callCli([...command, '--force'], env)).code, 0)
    assert.notEqual(await readFile(join(dataDir, name), 'utf8'), first)
    const aside = (await readdir(dataDir)).find((file) => file.startsWith(`${name}.until-`))!
    assert.equal(await readFile(join(dataDir, aside), 'utf8'), first)
  }
})

test('a token, and a key for a network, are what the others take', async (t) => {
  const dataDir = await temporaryDirectory(t)
  assert.equal((await callCli(['keygen', 'admin-token'], { DATA_DIR: dataDir })).code, 0)
  const token = await loadAdminToken(dataDir)
  assert.equal(token, (await readFile(join(dataDir, 'admin.token'), 'utf8')).trim())
  const file = join(dataDir, 'subnet')
  const { stdout } = await callCli(['keygen', 'subnet-key', file])
  const key = await readSubnetKey(file)
  assert.ok(!stdout.includes(Buffer.from(key).toString('hex')))
  assert.equal(await modeOf(file), 0o600)
})
