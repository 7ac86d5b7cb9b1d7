import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readCall, readRequest } from '../../src/cli/arguments.ts'
import { type Call, type Command, UsageError } from '../../src/cli/command.ts'
import { COMMANDS, commandNamed } from '../../src/cli/commands.ts'
import { commandHelp, usage } from '../../src/cli/help.ts'
import { runCli } from '../helpers/cli.ts'

const NAMES = COMMANDS.map(({ name }) => name)

test('the commands are those that are promised', () => {
  assert.deepEqual(NAMES, [
    ...['serve', 'check-config', 'check-health', 'keygen', 'status', 'peers', 'queues', 'networks'],
    ...['audit', 'backup', 'restore', 'chat', 'bench']
  ])
})

test('every command tells by --help, and by help COMMAND, how it is called, and starts nothing', async (t) => {
  for (const name of NAMES) {
    const help = await runCli(t, [name, '--help'])
    assert.deepEqual([help.code, help.stderr], [0, ''], name)
    assert.ok(help.stdout.startsWith(`Usage: demos-relay ${name}`), help.stdout)
    assert.match(help.stdout, /\nExit codes: 0 /)
    assert.deepEqual(readRequest(['help', name]), { ask: 'help', command: commandNamed(name) })
    assert.deepEqual(readRequest([name, '-h']), { ask: 'help', command: commandNamed(name) })
  }
  assert.equal((await runCli(t, ['help', 'queues'])).stdout, commandHelp(commandNamed('queues')!))
})

test('the help of every command names each of its actions and options, in 80 columns', () => {
  for (const command of COMMANDS) {
    const help = commandHelp(command)
    const words = command.actions.flatMap(({ name, takes = [], options = {} }) => [
      name,
      ...takes,
      ...Object.keys(options)
    ])
    for (const word of [...words, ...Object.keys(command.options ?? {})])
      assert.ok(help.includes(word), `${command.name} ${word}`)
    for (const line of help.split('\n')) assert.ok(line.length <= 80, line)
    assert.ok(usage().includes(`\n  ${command.name} `), command.name)
  }
  for (const line of usage().split('\n')) assert.ok(line.length <= 80, line)
})

test('a command nobody knows ends with 2, and the nearest one is suggested', async (t) => {
  const { code, stdout, stderr } = await runCli(t, ['statsu'])
  assert.deepEqual([code, stdout], [2, ''])
  assert.match(stderr, /^demos-relay: unknown command "statsu"\. Did you mean status\?\n\nUsage: demos-relay/)
  assert.deepEqual(readRequest(['qeues']), {
    ask: 'unknown',
    complaint: 'unknown command "qeues". Did you mean queues?'
  })
  assert.deepEqual(readRequest(['help', 'char']), {
    ask: 'unknown',
    complaint: 'unknown command "char". Did you mean chat?'
  })
  assert.deepEqual(readRequest(['frobnicate']), { ask: 'unknown', complaint: 'unknown command "frobnicate"' })
})

test('bench hands its options on to the benchmark of the checkout', async (t) => {
  const help = await runCli(t, ['bench', '--', '--help'])
  assert.deepEqual([help.code, help.stderr], [0, ''])
  assert.match(help.stdout, /^npm run bench -- \[options\]/)
  const wrong = await runCli(t, ['bench', '--only', 'nothing'])
  assert.equal(wrong.code, 2)
  assert.match(wrong.stderr, /^--only: there is no scenario "nothing"/)
})

const SAMPLE: Command = {
  name: 'sample',
  summary: 'for this test',
  options: { json: { about: 'as JSON' } },
  actions: [
    { name: '', about: 'list', options: { limit: { value: 'N', about: 'at most' } }, run: async () => 0 },
    { name: 'show', takes: ['NETWORK', 'PEER'], about: 'show', run: async () => 0 },
    {
      name: 'drop',
      takes: ['PEER'],
      about: 'drop',
      options: { why: { value: 'TEXT', about: 'why', required: true } },
      run: async () => 0
    }
  ]
}
const read = (...args: string[]) => readCall(SAMPLE, args)
const refused = (args: string[], words: RegExp) =>
  assert.throws(
    () => read(...args),
    (error) => error instanceof UsageError && words.test(error.message) && error.exit === 2
  )

test('a call is read into its action, its arguments and its options', () => {
  const { action, call } = read('show', 'net', '--json', 'bob')
  assert.deepEqual([action.name, call.args, call.flag('json')], ['show', ['net', 'bob'], true])
  assert.deepEqual(read('--limit=7').call.count('limit'), 7)
  assert.equal(read('drop', 'bob', '--why', 'spam').call.text('why'), 'spam')
  assert.deepEqual(read('show', '--', '-net', '--help').call.args, ['-net', '--help'])
})

test('a call that is not understood is refused with what is wrong', () => {
  refused(['show', 'net'], /^PEER is missing$/)
  refused(['show', 'net', 'bob', 'eve'], /^unknown argument "eve"$/)
  refused(['shwo', 'net'], /^unknown argument "shwo"\. Did you mean show\?$/)
  refused(['--jsom'], /^unknown argument "--jsom"\. Did you mean --json\?$/)
  refused(['show', 'net', 'bob', '--limit', '3'], /^--limit is no option of sample show$/)
  refused(['drop', 'bob'], /^--why TEXT is missing$/)
  refused(['--limit'], /--limit/)
  const count = (text: string) => (call: Call) => () => call.count(text)
  for (const text of ['0', '-1', '1e3', 'many']) {
    assert.throws(count('limit')(read(`--limit=${text}`).call), /--limit must be a whole number from 1/)
  }
})
