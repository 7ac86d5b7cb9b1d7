// What is installed without Docker: the package, what it is made of, and the systemd unit.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { licenceFaults, noticesOf, readSbom } from '../../scripts/third-party.ts'
import { SETTINGS } from '../../src/config/settings.ts'
import { packageFile } from '../../src/util/package-root.ts'
import { callCli } from '../helpers/cli.ts'
import { findProgram, needs } from '../helpers/programs.ts'
import { startTestServer } from '../helpers/server.ts'

const run = promisify(execFile)
const UNIT = packageFile('deploy/systemd/demos-relay.service')

test('every package of the server names a licence that may be in it, and its text is in the notices', async () => {
  const { text, components } = await readSbom()
  assert.equal(JSON.parse(text).bomFormat, 'CycloneDX')
  assert.deepEqual(licenceFaults(components), [])
  const notices = await noticesOf(components)
  for (const { name, version } of components) assert.ok(notices.includes(`## ${name} ${version}\n`), name)
  assert.match(notices, /Permission is hereby granted, free of charge/)
  const [first] = components
  assert.deepEqual(
    licenceFaults([
      { ...first!, name: 'a', version: '1', licences: [] },
      { ...first!, name: 'b', version: '2', licences: ['GPL-3.0'] }
    ]),
    ['a 1 names no licence', 'b 2 has the licence GPL-3.0, which is not on the list']
  )
})

test('the package says whose it is and where', async () => {
  const facts = JSON.parse(await readFile(packageFile('package.json'), 'utf8'))
  for (const field of ['author', 'repository', 'bugs', 'homepage', 'keywords', 'license'])
    assert.ok(facts[field], field)
})

test('the unit sets settings that exist, and hands over secrets as files', async () => {
  const text = await readFile(UNIT, 'utf8')
  const set = [...text.matchAll(/^Environment=(.+)$/gm)].flatMap(([, list]) => list!.split(' '))
  const names = set.map((pair) => pair.split('=')[0]!.replace(/_FILE$/, ''))
  for (const name of names) assert.ok(name === 'NODE_ENV' || SETTINGS.some((setting) => setting.name === name), name)
  for (const pair of set.filter((each) => each.includes('_FILE='))) {
    const [, credential] = /=%d\/(.+)$/.exec(pair) ?? []
    assert.ok(text.includes(`LoadCredential=${credential}:`), pair)
  }
})

test('systemd takes the unit', needs('systemd-analyze'), async () => {
  const { stderr } = await run(findProgram('systemd-analyze')!, ['verify', '--man=no', UNIT]).catch((error) => error)
  const ours = String(stderr)
    .split('\n')
    .filter((line) => line.includes('demos-relay.service'))
  assert.deepEqual(ours, [])
})

test('check-health --wait ends when the server is alive, and gives up in time', async (t) => {
  const server = await startTestServer(t)
  const env = { RPC_SIGNALING_PORT: new URL(server.addresses.http).port }
  assert.equal((await callCli(['check-health', '--wait', '5'], env)).code, 0)
  const away = await callCli(['check-health', '--wait', '1'], { RPC_SIGNALING_PORT: '1' })
  assert.deepEqual([away.code, /No server at port 1/.test(away.stderr)], [1, true])
})
