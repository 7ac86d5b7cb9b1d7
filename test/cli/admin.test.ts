// status, peers, queues and networks: real calls to a real server.
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { atEnd } from '../helpers/at-end.ts'
import { callCli } from '../helpers/cli.ts'
import { temporaryDirectory } from '../helpers/database.ts'
import { startTestServer, type TestServer } from '../helpers/server.ts'

const TOKEN = 'a-token-for-tests-only'

async function startAdminServer(t: TestContext, settings = {}): Promise<TestServer> {
  return startTestServer(t, { ADMIN_TOKEN: TOKEN, ADMIN_REQUESTS_PER_MINUTE: 100_000, ...settings })
}

/** A command against that server. */
const callTo =
  ({ addresses }: TestServer, env: Record<string, string> = { ADMIN_TOKEN: TOKEN }) =>
  (...args: string[]) =>
    callCli([...args, '--url', addresses.http], env)

/** Messages from one to another who is away. */
async function wait(server: TestServer, from: string, to: string, count: number): Promise<void> {
  const sender = await server.join(from)
  for (let number = 1; number <= count; number++) {
    sender.send({ type: 'message', payload: { targetId: to, message: { text: `${number}` } } })
    await sender.next('message_queued')
  }
  await sender.close()
}

test('status tells whether the server is ready, where its listeners are, and its statistics', async (t) => {
  const server = await startAdminServer(t)
  const call = callTo(server)
  await wait(server, 'alice', 'bob', 2)
  const people = await call('status')
  assert.deepEqual([people.code, people.stderr], [0, ''])
  assert.match(people.stdout, /^demos-relay \d+\.\d+\.\d+ at http:\/\/127\.0\.0\.1:\d+ is ready\n/)
  assert.ok(people.stdout.includes(server.addresses.l2ps!), people.stdout)
  assert.match(people.stdout, /signaling peers +\d+ in \d+ sessions?; 2 messages accepted since the start/)
  assert.doesNotMatch(people.stdout, /\x1b/)
  const machine = JSON.parse((await call('status', '--json')).stdout)
  assert.deepEqual(
    [machine.ready, machine.health.status, machine.stats.protocols.signaling.acceptedTotal],
    [true, 'ok', 2]
  )
})

test('status without a token tells readiness, and what the statistics need', async (t) => {
  const server = await startAdminServer(t)
  const { code, stdout } = await callTo(server, {})('status')
  assert.equal(code, 0)
  assert.match(stdout, /is ready\n/)
  assert.match(stdout, /No statistics: there is no token: \S*admin\.token cannot be read \(ENOENT\)\. Set ADMIN_TOKEN/)
})

test('status of a server that is not ready, or not there, ends with 1', async (t) => {
  const server = await startAdminServer(t)
  server.app.readiness.addCheck('coffee', async () => 'none left')
  const call = callTo(server)
  const sick = await call('status')
  assert.equal(sick.code, 1)
  assert.match(sick.stdout, /is not ready\n +coffee +none left\n/)
  assert.equal(JSON.parse((await call('status', '--json')).stdout).ready, false)
  const gone = await callCli(['status', '--url', 'http://127.0.0.1:1'])
  assert.deepEqual([gone.code, gone.stdout], [1, ''])
  assert.match(gone.stderr, /^demos-relay status: no server answers at http:\/\/127\.0\.0\.1:1 \(/)
})

test('a refused command prints one sentence with what to do, and has its own exit code', async (t) => {
  const server = await startAdminServer(t, { ADMIN_REQUESTS_PER_MINUTE: 2 })
  const refusal = async (env: Record<string, string>, ...args: string[]) => {
    const { code, stdout, stderr } = await callTo(server, env)(...args)
    assert.equal(stdout, '')
    assert.equal(stderr.trim().split('\n').length, 1, stderr)
    return { code, said: stderr.trim() }
  }
  const wrong = await refusal({ ADMIN_TOKEN: 'wrong-but-long-enough' }, 'peers')
  assert.equal(wrong.code, 77)
  assert.match(wrong.said, /does not take the token of ADMIN_TOKEN\. Set ADMIN_TOKEN or ADMIN_TOKEN_FILE to its own$/)
  const none = await refusal({}, 'peers')
  assert.deepEqual([none.code, /there is no token: .*admin\.token cannot be read/.test(none.said)], [77, true])
  const unknown = await refusal({ ADMIN_TOKEN: TOKEN }, 'networks', 'show', 'nowhere')
  assert.deepEqual(unknown, { code: 1, said: 'demos-relay networks: no such network' })
  await refusal({ ADMIN_TOKEN: TOKEN }, 'peers', 'close', 'signaling', 'nobody')
  const often = await refusal({ ADMIN_TOKEN: TOKEN }, 'queues')
  assert.equal(often.code, 75)
  assert.match(often.said, /asked too often in the last minute\. Try again in a minute$/)
  const gone = await callCli(['queues', '--url', 'http://127.0.0.1:1'], { ADMIN_TOKEN: TOKEN })
  assert.deepEqual([gone.code, gone.stdout], [69, ''])
  assert.match(gone.stderr, /no server answers at http:\/\/127\.0\.0\.1:1 \(\w.*\)\. Is it running\? --url says where/)
})

test('an answer of another server is named, and a wrong URL is a usage error', async (t) => {
  const other = createServer((_request, response) => response.setHeader('content-type', 'text/html').end('<p>hello'))
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  atEnd(t, () => other.close())
  const url = `http://127.0.0.1:${(other.address() as { port: number }).port}`
  const { code, stderr } = await callCli(['peers', '--url', url], { ADMIN_TOKEN: TOKEN })
  assert.equal(code, 1)
  assert.match(stderr, /what answers at \S+ is no demos-relay \(200, text\/html\)\. Give --url the server itself/)
  for (const wrong of ['3005', 'ftp://127.0.0.1', 'http://user:pass@127.0.0.1']) {
    const call = await callCli(['peers', '--url', wrong], { ADMIN_TOKEN: TOKEN })
    assert.equal(call.code, 2, wrong)
    assert.match(call.stderr, /--url must be the address of a server/)
  }
})

test('the token is found where the server keeps it, and the server where the settings have it', async (t) => {
  const dataDir = await temporaryDirectory(t)
  const server = await startTestServer(t, { DATA_DIR: dataDir })
  const { port } = new URL(server.addresses.http)
  const env = { DATA_DIR: dataDir, RPC_SIGNALING_PORT: port, HOST: '0.0.0.0' }
  const { code, stdout } = await callCli(['peers'], env)
  assert.deepEqual([code, stdout], [0, '0 peers\n'])
  const free = await callCli(['peers'], { ...env, RPC_SIGNALING_PORT: '0' })
  assert.equal(free.code, 2)
  assert.match(free.stderr, /the settings let the server take any free port: name it with --url/)
})

test('peers are listed, and closed', async (t) => {
  const server = await startAdminServer(t)
  await server.addNetworks('net')
  const call = callTo(server)
  const alice = await server.join('alice\u001b[31m')
  const bob = await server.enter('net')
  const { stdout } = await call('peers')
  const lines = stdout.split('\n')
  assert.match(lines[0]!, /^NETWORK +PEER +SESSIONS +CAME +FROM +RECEIPT +UNRECEIPTED +BUFFERED$/)
  assert.match(
    lines[1]!,
    new RegExp(
      `^net +${bob.key.slice(0, 8)}…${bob.key.slice(-4)} +1 +(just now|\\d+ seconds? ago) +127\\.0\\.0\\.1 +pong `
    )
  )
  assert.match(lines[2]!, /^signaling +alice\\u001b\[31m /)
  assert.equal(lines[3], '2 peers')
  assert.ok((await call('peers', '--full')).stdout.includes(bob.key))
  const { peers } = JSON.parse((await call('peers', '--network', 'net', '--json')).stdout)
  assert.deepEqual(
    peers.map(({ peer }: { peer: string }) => peer),
    [bob.key]
  )
  const closed = await call('peers', 'close', 'signaling', 'alice\u001b[31m')
  assert.equal(closed.stdout, '1 session of alice\\u001b[31m in signaling closed.\n')
  assert.equal((await alice.closed).code, 4004)
})

test('queues are listed to their end, page after page, or up to a limit', async (t) => {
  const server = await startAdminServer(t)
  const call = callTo(server)
  const { sql } = server.app.database
  await sql`
    insert into queue_entry (network, sender, recipient, sealed, size_bytes, slot, accepted_at, expires_at)
    select 'signaling', 'alice', 'bob ' || lpad(i::text, 4, '0'), '"x"', 3, false, 1700000000000, 9700000000000
    from generate_series(1, 450) as i`
  const all = JSON.parse((await call('queues', '--json')).stdout).queues
  assert.deepEqual([all.length, all[0].recipient, all[449].recipient], [450, 'bob 0001', 'bob 0450'])
  const some = await call('queues', '--limit', '203')
  assert.equal(some.stdout.trim().split('\n').at(-1), '203 queues; there may be more, see --limit')
  assert.match(
    (await call('queues', '--recipient', 'bob 0007')).stdout,
    /^signaling +bob 0007 +1 +3 B +\d+ days ago +0$/m
  )
})

test('a mailbox is shown, purged after a look, and queued again', async (t) => {
  const server = await startAdminServer(t)
  const call = callTo(server)
  await wait(server, 'alice', 'bob', 3)
  await wait(server, 'carol', 'bob', 2)
  const shown = await call('queues', 'show', 'signaling', 'bob')
  assert.match(
    shown.stdout,
    /^ *PLACE +FROM +SIZE +ACCEPTED +EXPIRES +WITHHELD +DELIVERIES +DIGEST\n *\d+ +alice +\d+ B +.* +in 6 days +no +0\n/
  )
  assert.match(shown.stdout, /\n5 messages\n$/)
  const facts = JSON.parse((await call('queues', 'show', 'signaling', 'bob', '--json')).stdout)
  assert.deepEqual(
    [facts.recipient, facts.total, facts.entries.length, 'sealed' in facts.entries[0]],
    ['bob', 5, 5, false]
  )

  const again = await call('queues', 'requeue', 'signaling', 'bob', '--sender', 'carol')
  assert.equal(again.stdout, '2 messages of bob in signaling queued again.\n')
  const dry = await call('queues', 'purge', 'signaling', 'bob', '--sender', 'alice', '--dry-run')
  assert.match(dry.stdout, /^3 messages \(\d+ B\) of bob in signaling would be deleted\.\n$/)
  const unasked = await call('queues', 'purge', 'signaling', 'bob', '--sender', 'alice')
  assert.equal(unasked.code, 2)
  assert.match(
    unasked.stderr,
    /^demos-relay: Delete 3 messages \(\d+ B\) of bob in signaling for ever\? Say so with --yes\n/
  )
  const old = await call('queues', 'purge', 'signaling', 'bob', '--older-than', '1000', '--yes')
  assert.equal(old.stdout, 'Nothing to delete of bob in signaling.\n')
  assert.equal(JSON.parse((await call('queues', 'show', 'signaling', 'bob', '--json')).stdout).total, 5)
  const purged = await call('queues', 'purge', 'signaling', 'bob', '--sender', 'alice', '--yes')
  assert.match(purged.stdout, /^3 messages \(\d+ B\) of bob in signaling deleted\.\n$/)
  const rest = await call('queues', 'purge', 'signaling', 'bob', '--yes', '--json')
  assert.equal(JSON.parse(rest.stdout).purged.entries, 2)
  assert.equal((await call('queues')).stdout, '0 queues\n')
})

test('one message is deleted by its place, once it is confirmed', async (t) => {
  const server = await startAdminServer(t)
  const call = callTo(server)
  await wait(server, 'alice', 'bob', 3)
  const { sql } = server.app.database
  await sql`update queue_entry set deliveries = 12 where seq = 2`
  const places = async () => JSON.parse((await call('queues', 'show', 'signaling', 'bob', '--json')).stdout).entries
  assert.match((await call('queues', 'show', 'signaling', 'bob')).stdout, /^ *2 +alice .* no +12$/m)

  const unasked = await call('queues', 'delete', 'signaling', 'bob', '2')
  assert.equal(unasked.code, 2)
  assert.match(unasked.stderr, /^demos-relay: Delete message 2 of bob in signaling for ever\? Say so with --yes\n/)
  assert.equal((await places()).length, 3)
  const deleted = await call('queues', 'delete', 'signaling', 'bob', '2', '--yes')
  assert.match(deleted.stdout, /^Deleted message 2 of bob in signaling \(\d+ B\)\.\n$/)
  assert.deepEqual(
    (await places()).map(({ seq }: { seq: number }) => seq),
    [1, 3]
  )
  const twice = await call('queues', 'delete', 'signaling', 'bob', '2', '--yes')
  assert.deepEqual(twice, {
    code: 1,
    stdout: '',
    stderr: 'demos-relay queues: no such message waits in this mailbox\n'
  })
  const wrong = await call('queues', 'delete', 'signaling', 'bob', 'two', '--yes')
  assert.deepEqual([wrong.code, wrong.stdout], [2, ''])
  await sql`update queue_entry set seq = 123456789012345 where seq = 3`
  const machine = await call('queues', 'delete', 'signaling', 'bob', '123456789012345', '--yes', '--json')
  assert.equal(JSON.parse(machine.stdout).purged.entries, 1)
})

test('networks are made, shown, switched, given members, and deleted', async (t) => {
  const dataDir = await temporaryDirectory(t)
  await mkdir(join(dataDir, 'l2ps', 'filed'), { recursive: true })
  await writeFile(join(dataDir, 'l2ps', 'filed', 'config.json'), '{"uid":"filed","enabled":true}')
  const server = await startAdminServer(t, { DATA_DIR: dataDir })
  const call = callTo(server)
  const made = await call('networks', 'create', 'team', '--name', 'The team', '--audit-public')
  assert.deepEqual([made.code, made.stderr], [0, ''])
  assert.match(made.stdout, /^network +team\nname +The team\nstate +enabled\nopen to +anybody\n/)
  const peer = await server.enter('team')
  assert.equal(
    (await call('networks', 'add-member', 'team', 'a'.repeat(64))).stdout,
    `${'a'.repeat(64)} is a member now.\n`
  )
  await peer.closed // the first member closed the network to everybody else
  assert.match((await call('networks', 'add-member', 'team', 'a'.repeat(64))).stdout, /was a member already/)
  assert.equal((await call('networks', 'members', 'team')).stdout, `PEER\n${'a'.repeat(64)}\n1 member\n`)
  assert.match((await call('networks', 'disable', 'team')).stdout, /\nstate +disabled\nopen to +members\nmembers +1\n/)
  assert.match(
    (await call('networks')).stdout,
    /^filed +enabled +anybody +0 +0 +0 B +file\nteam +disabled +members +1 +0 +0 B +database\n2 networks\n$/m
  )
  assert.match((await call('networks', 'enable', 'team')).stdout, /\nstate +enabled\n/)
  assert.match((await call('networks', 'remove-member', 'team', 'a'.repeat(64))).stdout, /is no member any more/)
  assert.equal(JSON.parse((await call('networks', 'show', 'team', '--json')).stdout).auditPublic, true)
  const twice = await call('networks', 'create', 'team')
  assert.deepEqual([twice.code, twice.stderr], [1, 'demos-relay networks: team is there already\n'])
  const filed = await call('networks', 'disable', 'filed')
  assert.match(filed.stderr, /filed is defined by filed\/config\.json in L2PS_DIR/)
  assert.equal((await call('networks', 'delete', 'team')).code, 2)
  assert.equal((await call('networks', 'delete', 'team', '--yes')).stdout, 'team deleted.\n')
  assert.equal((await call('networks', 'show', 'team')).code, 1)
})

test('the names . and .. are reached like any other', async (t) => {
  const server = await startAdminServer(t)
  const call = callTo(server)
  for (const name of ['.', '..']) {
    await wait(server, `sender of ${name}`, name, 2)
    const shown = await call('queues', 'show', 'signaling', name, '--json')
    assert.deepEqual([shown.code, shown.stderr], [0, ''], name)
    assert.equal(JSON.parse(shown.stdout).entries.length, 2, shown.stdout)
    const peer = await server.join(name)
    assert.equal((await call('peers', 'close', 'signaling', name)).code, 0, name)
    assert.equal((await peer.closed).code, 4004)
    assert.equal((await call('identities', 'show', 'signaling', name)).code, 0, name)
  }
})

test('names with characters that a terminal obeys, or that are not seen, are written with escapes', async (t) => {
  const server = await startAdminServer(t)
  const call = callTo(server)
  const name = 'a\u001b[2J\u009b2J\u202eb\u200bc\nd'
  await wait(server, name, 'away', 1)
  await wait(server, 'ann', name, 1)
  const here = name.slice(0, -1)
  await server.join(here)
  const calls = [
    ...[
      ['peers', 'list'],
      ['queues', 'list'],
      ['queues', 'show', 'signaling', name]
    ],
    ...[
      ['identities', 'list'],
      ['identities', 'show', 'signaling', name],
      ['peers', 'close', 'signaling', here]
    ]
  ]
  for (const words of calls) {
    for (const option of words[1] === 'list' ? ['--full', '--json'] : [undefined]) {
      const { code, stdout, stderr } = await call(...words, ...(option ? [option] : []))
      assert.deepEqual([code, stderr], [0, ''], words.join(' '))
      assert.match(stdout, /a\\u001b\[2J\\u009b2J\\u202eb\\u200bc|ann/, words.join(' '))
      assert.doesNotMatch(stdout.replaceAll('\n', ''), /[\p{Cc}\p{Cf}]/u, words.join(' '))
    }
  }
})
