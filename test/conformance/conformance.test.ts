// demos-relay conformance against this server, of which all rules hold, and against servers that break one.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Result } from '../../src/conformance/run.ts'
import { rulesOf } from '../../src/conformance/run.ts'
import { packageFile } from '../../src/util/package-root.ts'
import { callCli, runCli } from '../helpers/cli.ts'
import { temporaryDirectory } from '../helpers/database.ts'
import { startTestServer } from '../helpers/server.ts'
import { type Change, startChangingProxy } from './changing-proxy.ts'

const startServer = async (t: TestContext) => {
  const server = await startTestServer(t)
  await server.addNetworks('demo', 'other')
  return server
}

/** The rules that do not hold on a server with these changes, as `--json` prints them. */
async function checkBroken(t: TestContext, protocol: 'signaling' | 'l2ps', change: Change): Promise<Result[]> {
  const { addresses } = await startServer(t)
  const url = await startChangingProxy(t, addresses[protocol]!, change)
  const option = protocol === 'signaling' ? '--url' : '--l2ps'
  const { code, stdout } = await callCli(['conformance', option, url, '--wait', '2000', '--json'])
  assert.equal(code, 1)
  const { rules } = JSON.parse(stdout) as { rules: Result[] }
  const failed = rules.filter(({ verdict }) => verdict === 'fails')
  for (const { section, title, reason } of failed) t.diagnostic(`${section} ${title}: ${reason}`)
  return failed
}

const titlesOf = (results: readonly Result[]) => results.map(({ section, title }) => `${section} ${title}`)

test('all rules hold on this server: as a table, and in a JUnit report', async (t) => {
  const { addresses } = await startServer(t)
  const file = join(await temporaryDirectory(t), 'report.xml')
  const servers = ['--url', addresses.signaling, '--l2ps', addresses.l2ps!, '--other-network', 'other']
  const { code, stdout, stderr } = await runCli(t, ['conformance', ...servers, '--junit', file])
  assert.deepEqual([code, stderr], [0, ''], stdout.replaceAll(/^holds.*\n/gm, ''))
  const count = rulesOf('signaling').length + rulesOf('l2ps').length + 2
  assert.match(stdout, new RegExp(`\n${count} rules: ${count} hold, 0 fail, 0 not supported\n$`))
  assert.match(stdout, /^holds {10}2\.8 {3}an id belongs to the signing key/m)
  const xml = await readFile(file, 'utf8')
  assert.equal(xml.match(/<testcase /g)?.length, count)
  assert.match(xml, /<testsuite name="l2ps" tests="\d+" failures="0" errors="0" skipped="0"/)
})

test('each rule cites a section of docs/protocol.md and has a title of its own', async () => {
  const text = await readFile(packageFile('docs/protocol.md'), 'utf8')
  for (const protocol of ['signaling', 'l2ps'] as const) {
    const rules = rulesOf(protocol)
    for (const { section } of rules) assert.ok(text.includes(`<a id="${section}"></a>`), section)
    assert.equal(new Set(rules.map(({ title }) => title)).size, rules.length)
  }
})

test('a server that writes bodies anew fails with the frames that show it', async (t) => {
  const rewritten = (text: string) => (text.includes('1e999') ? JSON.stringify(JSON.parse(text)) : text)
  const failed = await checkBroken(t, 'signaling', rewritten)
  assert.deepEqual(titlesOf(failed), ['1.3 a body is relayed byte for byte, to a connected peer and from the mailbox'])
  const [{ reason, frames }] = failed as [Result]
  assert.equal(reason, 'the body was changed on its way to a connected peer')
  assert.match(frames!.at(-1)!.text, /"n":null/)
  assert.deepEqual([frames!.at(-1)!.peer, frames!.at(-1)!.direction], ['bob', 'received'])
})

test('a server without requestIds, and one that invents a frame, fail', async (t) => {
  const withoutId = (text: string) =>
    text.includes('"public_key_response"') ? text.replace(/,"requestId":"[^"]*"/, '') : text
  assert.deepEqual(titlesOf(await checkBroken(t, 'l2ps', withoutId)), [
    '4.5 request_public_key gives a known key, also of a peer that is away, and null for an unknown one'
  ])
  const odd = await checkBroken(t, 'signaling', (text) => text.replace('"peer_disconnected"', '"peer_gone"'))
  const shapes = odd.find(({ title }) => title.startsWith('every frame the server sent'))
  assert.match(shapes!.reason!, /unknown type peer_gone/)
})

test('a server that keeps records to itself, and one that does not know the question', async (t) => {
  const silent = (text: string) => text.replace(/"records":\["[^\]]*\]/, '"records":[]')
  assert.deepEqual(titlesOf(await checkBroken(t, 'signaling', silent)), [
    '2.10 the sender and the recipient of a message are told its record, and nobody else is'
  ])
  const { addresses } = await startServer(t)
  const unknown = {
    type: 'error',
    payload: { errorType: 'INVALID_MESSAGE', details: 'Unknown message type', timestamp: '' }
  }
  const older = (text: string) => (text.includes('"record_response"') ? JSON.stringify(unknown) : text)
  const { code, stdout } = await callCli([
    'conformance',
    '--url',
    await startChangingProxy(t, addresses.signaling, older)
  ])
  assert.equal(code, 0, stdout)
  assert.match(stdout, /^not supported {2}2\.10 .*\n +the frame request_record is not known\n/m)
})

test('what a server does not have is not a failure', async (t) => {
  const { addresses } = await startServer(t)
  const withoutSeq = (text: string) => text.replace(/,"seq":\d+/, '')
  const url = await startChangingProxy(t, addresses.signaling, withoutSeq)
  const { code, stdout } = await callCli(['conformance', '--url', url])
  assert.equal(code, 0, stdout)
  assert.match(stdout, /^not supported {2}1\.6 {3}a session that offers "ack".*\n +messages carry no seq\n/m)
  // Behind the proxy the server is not known by its address, so it gives no challenges there.
  assert.match(stdout, /^not supported {2}2\.9 .*\n +no challenge is given at ws:/m)
  assert.match(stdout, /, 0 fail, 2 not supported\n$/)
})

test('a server that is not there, and wrong options, have exit codes of their own', async () => {
  const dead = await callCli(['conformance', '--url', 'ws://127.0.0.1:1'])
  assert.equal(dead.code, 69)
  assert.match(dead.stderr, /^demos-relay conformance: no server answers at ws:\/\/127\.0\.0\.1:1/)
  for (const args of [[], ['--url', 'http://x'], ['--url', 'ws://x', '--wait', 'long']]) {
    assert.equal((await callCli(['conformance', ...args])).code, 2)
  }
})
