// Two people at two terminals, or two programs on pipes: real processes over a real server.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { keyOfPassphrase, keysFile, loadSeed, readSubnetKey } from '../../src/cli/chat-keys.ts'
import { atEnd } from '../helpers/at-end.ts'
import { type Conversation, callCli, runCli, startCli, talkToCli } from '../helpers/cli.ts'
import { temporaryDirectory } from '../helpers/database.ts'
import { OWN_OPTIONS, ownFile } from '../helpers/own-program.ts'
import { needs } from '../helpers/programs.ts'
import { startTcpProxy } from '../helpers/proxy.ts'
import { startTestServer } from '../helpers/server.ts'

type Person = Conversation & { me: string }

/** A person who chats with these arguments; resolves when connected. */
async function person(t: TestContext, home: string, ...args: string[]): Promise<Person> {
  return introduced(talkToCli(t, ['chat', ...args], join(home, '.config')))
}

async function introduced<C extends Conversation>(program: C): Promise<C & { me: string }> {
  const [, me = ''] = /^\* you are (\S+) at /.exec(await program.line(/^\* you are /))!
  return { ...program, me }
}

test('two people talk over signaling: sent, queued while one is away, delivered to it when it returns', async (t) => {
  const server = await startTestServer(t)
  const home = await temporaryDirectory(t)
  const url = ['--url', server.addresses.signaling]
  const alice = await introduced(await startCli(t, ['chat', '--name', 'alice', '--to', 'bob', ...url], { cwd: home }))
  alice.say('is anybody there?')
  await alice.line(/^#1 failed: .*bob/)
  const bob = await introduced(await startCli(t, ['chat', '--name', 'bob', '--to', 'alice', ...url], { cwd: home }))
  bob.say('hello, alice')
  await bob.line(/^#1 sent$/)
  await alice.line(/^bob: hello, alice$/)
  alice.say('hello, bob \u{1f44b}')
  await alice.line(/^#2 sent$/)
  await bob.line(/^alice: hello, bob \u{1f44b}$/u)
  alice.say('/who')
  await alice.line(/^\* here: bob$/)

  bob.say('/quit')
  assert.deepEqual(await bob.ended().then(({ code, stderr }) => [code, stderr]), [0, ''])
  await alice.line(/^\* bob is away$/)
  alice.say('read this when you are back')
  await alice.line(/^#3 queued: away, the server keeps it$/)
  const returned = await person(t, home, '--name', 'bob', '--to', 'alice', ...url)
  assert.equal(await returned.line(/^alice/), 'alice (while you were away): read this when you are back')

  alice.child.kill('SIGTERM')
  assert.equal((await alice.ended()).code, 0)
})

test('a name belongs to its keys: they are kept with mode 0600, and other keys are refused', async (t) => {
  const server = await startTestServer(t)
  const [home, other] = [await temporaryDirectory(t), await temporaryDirectory(t)]
  const call = ['--name', 'alice', '--to', 'bob', '--url', server.addresses.signaling]
  const leave = async (alice: Person) => {
    alice.say('/quit')
    assert.equal((await alice.ended()).code, 0)
  }
  await leave(await person(t, home, ...call))
  const file = keysFile(join(home, '.config'), 'alice', 'signaling')
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  const thief = await talkToCli(t, ['chat', ...call], other).ended()
  assert.deepEqual([thief.code, thief.stdout], [1, ''])
  assert.match(
    thief.stderr,
    /^demos-relay chat: .*\. alice belongs to other keys than those in \S+alice\.signaling\.key, or is in use: choose another --name$/m
  )
  await leave(await person(t, other, ...call, '--keys', file))
})

test('piped input is sent to its end before the program ends, a line a message', async (t) => {
  const server = await startTestServer(t)
  const home = await temporaryDirectory(t)
  const url = ['--url', server.addresses.signaling]
  const bob = await person(t, home, '--name', 'bob', '--to', 'alice', ...url)
  bob.say('/quit')
  await bob.ended()
  const input = `${Array.from({ length: 20 }, (_, at) => `line ${at + 1}`).join('\n')}\n\n//quit\nno end of line`
  const { code, stdout, stderr } = await runCli(t, ['chat', '--name', 'alice', '--to', 'bob', ...url], {
    cwd: home,
    input
  })
  assert.deepEqual([code, stderr], [0, ''])
  assert.equal(stdout.match(/^#\d+ queued: /gm)?.length, 22)
  const returned = await person(t, home, '--name', 'bob', ...url)
  for (let at = 1; at <= 20; at++)
    assert.equal(await returned.line(/^alice/), `alice (while you were away): line ${at}`)
  assert.match(await returned.line(/^alice/), /: \/quit$/)
  assert.match(await returned.line(/^alice/), /: no end of line$/)
})

test('untrusted text stays on one line, and its control characters are escaped', async (t) => {
  const server = await startTestServer(t)
  const home = await temporaryDirectory(t)
  const url = ['--url', server.addresses.signaling]
  const bob = await person(t, home, '--name', 'bob', '--to', 'eve', ...url)
  const eve = await person(t, home, '--name', 'eve', '--to', 'bob', ...url)
  eve.say('red \u001b[31m and \u202e back\tand on')
  assert.equal(await bob.line(/^eve/), 'eve: red \\u001b[31m and \\u202e back\\u0009and on')
  eve.say('/to nobody-yet')
  await eve.line(/^\* to nobody-yet$/)
})

test('in a network, members with the same key talk, and are told what was delivered', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('net')
  const home = await temporaryDirectory(t)
  const keyFile = join(home, 'net.key')
  assert.equal((await callCli(['keygen', 'subnet-key', keyFile])).code, 0)
  const call = ['--network', 'net', '--url', server.addresses.l2ps!, '--key', keyFile]
  const alice = await person(t, home, '--name', 'alice', ...call)
  assert.match(alice.me, /^[0-9a-f]{64}$/)
  alice.say('to whom?')
  await alice.line(/^! to whom\? \/who tells who is here, \/to NAME chooses$/)
  const bob = await person(t, home, '--name', 'bob', '--to', alice.me, ...call)
  await alice.line(new RegExp(`^\\* ${bob.me.slice(0, 8)}….* is here$`))
  alice.say(`/to ${bob.me.slice(0, 6)}`)
  await alice.line(new RegExp(`^\\* to ${bob.me}$`))
  alice.say('hello')
  await alice.line(/^#1 sent$/)
  assert.match(await bob.line(/hello/), new RegExp(`^${alice.me.slice(0, 8)}….*: hello$`))
  await alice.line(/^#1 delivered$/)

  bob.say('/quit')
  await bob.ended()
  await alice.line(/ is away$/)
  alice.say('for later')
  await alice.line(/^#2 queued/)
  const back = await person(t, home, '--name', 'bob', '--to', alice.me, ...call)
  await back.line(/\(while you were away\): for later$/)
  await alice.line(/^#2 delivered$/)

  const stranger = await person(
    t,
    home,
    '--name',
    'carol',
    '--to',
    alice.me,
    ...call.slice(0, 4),
    '--passphrase',
    'other words'
  )
  stranger.say('can you read this?')
  assert.match(await alice.line(/unreadable/), /: \(unreadable: it was sealed with another key\)$/)
})

test('a lost connection is reported and made again, and messages written meanwhile are sent', async (t) => {
  const server = await startTestServer(t)
  const home = await temporaryDirectory(t)
  const proxy = await startTcpProxy(t, server.addresses.signaling)
  const alice = await person(t, home, '--name', 'alice', '--to', 'bob', '--url', proxy.url)
  const bob = await person(t, home, '--name', 'bob', '--to', 'alice', '--url', server.addresses.signaling)
  proxy.reset()
  await alice.line(/^\* connection lost \(code 1006\), trying again$/)
  alice.say('are you still there?')
  await alice.line(/^\* connected again$/)
  await alice.line(/^#1 sent$/)
  await bob.line(/^alice: are you still there\?$/)
})

test('wrong options are refused, and a server that does not answer is named', async (t) => {
  const home = await temporaryDirectory(t)
  const refusals: [string[], number, RegExp][] = [
    [[], 2, /--name NAME is missing/],
    [['--name', 'alice', '--to', 'alice'], 2, /--to must be another peer/],
    [['--name', 'alice', '--passphrase', 'x'], 2, /--passphrase is for a network/],
    [['--network', 'net'], 2, /either --key FILE or --passphrase TEXT/],
    [['--network', 'net', '--passphrase', 'x', '--to', 'bob'], 2, /--to must be a public key/],
    [['--name', 'alice', '--url', 'ftp://x'], 2, /--url must be the address of a server/],
    [['--name', 'alice', '--url', 'ws://127.0.0.1:1'], 69, /no server answers at ws:\/\/127\.0\.0\.1:1 /]
  ]
  for (const [args, exit, words] of refusals) {
    const { code, stderr } = await talkToCli(t, ['chat', ...args], home).ended()
    assert.equal(code, exit, `${args.join(' ')}: ${stderr}`)
    assert.match(stderr, words)
  }
})

test('on a terminal, what is being typed survives a message that comes in', needs('script'), async (t) => {
  const server = await startTestServer(t)
  const home = await temporaryDirectory(t)
  const url = server.addresses.signaling
  const words = [process.execPath, ...OWN_OPTIONS, ownFile('src/main.ts')]
  const command = `stty cols 40; ${words.map((word) => `'${word}'`).join(' ')} chat --name alice --to bob --url ${url}`
  const { PATH = '' } = process.env
  const child = spawn('script', ['-qec', command, '/dev/null'], { cwd: home, env: { PATH, HOME: home, TERM: 'xterm' } })
  atEnd(t, () => void child.kill('SIGKILL'))
  let shown = ''
  child.stdout.on('data', (text) => {
    shown += text
    child.emit('heard')
  })
  const shows = async (fits: RegExp) => {
    while (!fits.test(shown)) await once(child, 'heard', { signal: AbortSignal.timeout(30_000) })
  }
  await shows(/\x1b\[2m\* you are alice at .*\/quit; every other line.*> /s) // coloured, on a terminal
  const bob = await person(t, home, '--name', 'bob', '--to', 'alice', '--url', url)
  const long = 'this is longer than one row of the terminal is'
  child.stdin.write(long)
  await shows(/terminal is/)
  shown = ''
  bob.say('sorry to interrupt')
  // The cursor goes up to the first row of the prompt, everything below is cleared, and the typed text comes again.
  await shows(
    /\x1b\[1A\x1b\[1G\x1b\[0J\x1b\[36mbob\x1b\[0m: sorry to interrupt\r\n\x1b\[1G\x1b\[0J> this is longer than one row/
  )
  child.stdin.write('\r')
  await bob.line(new RegExp(`^alice: ${long}$`))
  child.stdin.write('\u0003')
  const [code] = await once(child, 'exit')
  assert.equal(code, 0)
})

test('keys are read from hex, base64 and bytes, and anything else is refused', async (t) => {
  const home = await temporaryDirectory(t)
  const key = crypto.getRandomValues(new Uint8Array(32))
  const file = join(home, 'key')
  const hex = Buffer.from(key).toString('hex')
  for (const text of [hex, `${hex.toUpperCase()}\n`, Buffer.from(key).toString('base64'), key]) {
    await writeFile(file, text)
    assert.deepEqual(await readSubnetKey(file), key)
  }
  for (const text of ['', hex.slice(1), 'a passphrase', `${hex}${hex}`]) {
    await writeFile(file, text)
    await assert.rejects(readSubnetKey(file), /does not hold a key: 64 hex digits/)
  }
  assert.deepEqual(keyOfPassphrase('words', 'net'), keyOfPassphrase('words', 'net'))
  assert.notDeepEqual(keyOfPassphrase('words', 'net'), keyOfPassphrase('words', 'other'))
  const { seed, isNew } = await loadSeed(join(home, 'seed'), 96)
  assert.deepEqual([isNew, (await loadSeed(join(home, 'seed'), 96)).seed], [true, seed])
  assert.doesNotMatch(keysFile('/c', '../../etc/passwd', 'l2ps'), /\.\./)
  assert.notEqual(keysFile('/c', 'Alice', 'l2ps'), keysFile('/c', 'alice', 'l2ps'))
  await writeFile(join(home, 'seed'), 'no keys')
  await assert.rejects(loadSeed(join(home, 'seed'), 96), /does not hold keys of this chat/)
  assert.equal(await readFile(join(home, 'seed'), 'utf8'), 'no keys')
})
