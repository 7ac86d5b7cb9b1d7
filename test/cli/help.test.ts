import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CommandUnknownOpts } from '@commander-js/extra-typings'
import type { Io } from '../../src/cli/command.ts'
import { createProgram } from '../../src/cli/program.ts'
import { callCli, runCli } from '../helpers/cli.ts'

const program = createProgram({} as Io)
const NAMES = program
  .createHelp()
  .visibleCommands(program)
  .map((command) => command.name())

/** Every command and subcommand with the words that call it. */
const ALL = program.commands.flatMap((command): [string[], CommandUnknownOpts][] => [
  [[command.name()], command],
  ...command.commands.map((sub): [string[], CommandUnknownOpts] => [[command.name(), sub.name()], sub])
])

test('the commands are those that are promised', () => {
  assert.deepEqual(NAMES, [
    ...['serve', 'check-config', 'check-health', 'keygen', 'token', 'status', 'relays', 'peers', 'queues'],
    ...['identities', 'networks', 'events', 'audit', 'backup', 'restore', 'chat', 'conformance', 'bench', 'help']
  ])
})

test('every command has its usage and exit codes in --help, -h and help COMMAND, in 80 columns', async () => {
  for (const name of NAMES.slice(0, -1)) {
    const help = await callCli([name, '--help'])
    assert.deepEqual([help.code, help.stderr], [0, ''], name)
    assert.ok(help.stdout.startsWith(`Usage: demos-relay ${name}`), help.stdout)
    assert.match(help.stdout, /\nExit codes: 0 /)
    for (const line of help.stdout.split('\n')) assert.ok(line.length <= 80, line)
    assert.deepEqual(await callCli(['help', name]), help)
    assert.deepEqual(await callCli([name, '-h']), help)
  }
})

test('the help of every command and subcommand names its arguments, options and subcommands', async () => {
  for (const [words, command] of ALL) {
    const { code, stdout } = await callCli([...words, '--help'])
    assert.equal(code, 0)
    const inherited = words.length > 1 ? command.parent!.options : []
    const names = [
      ...command.registeredArguments.map((argument) => argument.name()),
      ...[...command.options, ...inherited].map(({ long }) => long!),
      ...command.commands.map((sub) => sub.name())
    ]
    for (const name of names) assert.ok(stdout.includes(name), `${words.join(' ')} ${name}`)
    for (const line of stdout.split('\n')) assert.ok(line.length <= 80, line)
  }
  assert.deepEqual(await callCli(['help', 'queues', 'purge']), await callCli(['queues', 'purge', '--help']))
})

test('the real program prints the help and starts nothing', async (t) => {
  const { code, stdout, stderr } = await runCli(t, ['queues', '--help'])
  assert.deepEqual({ code, stdout, stderr }, await callCli(['queues', '--help']))
})

test('an unknown command ends with 2, and the nearest one is suggested', async () => {
  const { code, stdout, stderr } = await callCli(['statsu'])
  assert.deepEqual([code, stdout], [2, ''])
  assert.match(stderr, /^demos-relay: unknown command 'statsu'\n\(Did you mean status\?\)\n\nUsage: demos-relay/)
  for (const [args, meant] of [
    [['qeues'], 'queues'],
    [['help', 'char'], 'chat'],
    [['queues', 'shwo'], 'show'],
    [['networks', 'crate', 'team'], 'create'],
    [['audit', 'veryfy'], 'verify'],
    [['keygen', 'admin-tokne'], 'admin-token']
  ] as const) {
    const call = await callCli(args)
    assert.equal(call.code, 2)
    assert.ok(call.stderr.includes(`\n(Did you mean ${meant}?)\n`), call.stderr)
  }
  const far = await callCli(['frobnicate'])
  assert.match(far.stderr, /^demos-relay: unknown command 'frobnicate'\n\nUsage: /)
})

test('wrong options and arguments end with 2, say what is wrong, and print the usage of the command', async () => {
  const refusals: [string, RegExp][] = [
    ['queues show net', /missing required argument 'recipient'/],
    ['queues show net bob eve', /too many arguments for 'show'\. Expected 2 arguments but got 3\./],
    ['queues --jsom', /unknown option '--jsom'\n\(Did you mean --json\?\)/],
    ['queues show net bob --sender eve', /unknown option '--sender'/],
    ['queues --limit', /option '--limit <n>' argument missing/],
    ['backup', /required option '--to <dir>' not specified/],
    ['audit accept-restore', /required option '--network <name>' not specified/],
    ['audit verify --from-url 3006', /--from-url must be the address of a server/],
    ['peers -v', /unknown option '-v'/],
    ['serve now', /too many arguments for 'serve'/],
    ['audit', /^Usage: demos-relay audit /]
  ]
  for (const text of ['0', '-1', '1e3', 'many']) {
    refusals.push([
      `queues --limit=${text}`,
      /option '--limit <n>' argument '.*' is invalid\. It must be a whole number/
    ])
  }
  for (const [line, words] of refusals) {
    const { code, stdout, stderr } = await callCli(line.split(' '))
    assert.deepEqual([code, stdout], [2, ''], line)
    assert.match(stderr, words)
    assert.match(stderr, /(^|\n)Usage: demos-relay /)
  }
})

test('the options of a group may stand before and after its subcommand; after -- everything is an argument', async () => {
  const url = ['--url', 'http://127.0.0.1:1']
  const env = { ADMIN_TOKEN: 'a-token-for-tests-only' }
  for (const args of [
    [...url, 'show', 'net', 'bob'],
    ['show', 'net', 'bob', ...url],
    [...url, 'show', '--', '-net', '--help'],
    url
  ]) {
    const { code, stderr } = await callCli(['queues', ...args], env)
    assert.equal(code, 69, stderr)
    assert.match(stderr, /^demos-relay queues: no server answers at http:\/\/127\.0\.0\.1:1 /)
  }
})

test('bench hands its options on to the benchmark of the checkout', async (t) => {
  const help = await runCli(t, ['bench', '--', '--help'])
  assert.deepEqual([help.code, help.stderr], [0, ''])
  assert.match(help.stdout, /^npm run bench -- \[options\]/)
  const wrong = await runCli(t, ['bench', '--only', 'nothing'])
  assert.equal(wrong.code, 2)
  assert.match(wrong.stderr, /^--only: there is no scenario "nothing"/)
})
