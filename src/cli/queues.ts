import type { Static } from '@sinclair/typebox'
import type { PurgeAnswer, Queue, QueueAnswer, QueueEntryFacts, RequeueAnswer } from '../../plugins/admin/api/queues.ts'
import { ABOUT_SERVER, type AdminClient, openAdminClient, SERVER_EXITS, SERVER_OPTIONS } from './admin-client.ts'
import { type Action, type Call, type Command, EXIT, type Options } from './command.ts'
import { confirm, YES } from './confirm.ts'
import { FULL, LIMIT, printJson, printList } from './output.ts'
import { ago, agoOf, counted, number, plain, shortName, size, span } from './words.ts'

type QueueFacts = Static<typeof Queue>
type EntryFacts = Static<typeof QueueEntryFacts>

const BOX = ['NETWORK', 'RECIPIENT']
const SENDER: Options = { sender: { value: 'NAME', about: 'only what this sender sent' } }
const nameIn = (call: Call) => (call.flag('full') ? plain : shortName)
const boxOf = ([network = '', recipient = '']: readonly string[]) => `${plain(recipient)} in ${plain(network)}`

const list: Action = {
  name: '',
  about: 'list mailboxes that hold something',
  options: {
    network: { value: 'NAME', about: 'only this network' },
    recipient: { value: 'NAME', about: 'only mailboxes of this recipient' },
    ...LIMIT,
    ...FULL
  },
  run: async (call, io) => {
    const client = await openAdminClient(call, io)
    const filter = { network: call.text('network'), recipient: call.text('recipient') }
    const found = await client.list<QueueFacts>(['queues'], 'queues', call.count('limit'), filter)
    const name = nameIn(call)
    return printList('queue', found, call, io, [
      { head: 'NETWORK', cell: ({ network }) => name(network) },
      { head: 'RECIPIENT', cell: ({ recipient }) => name(recipient) },
      { head: 'MESSAGES', cell: ({ entries }) => number(entries), right: true },
      { head: 'SIZE', cell: ({ bytes }) => size(bytes), right: true },
      { head: 'OLDEST', cell: ({ oldestAgeSeconds: age }) => (age === null ? '' : ago(age)) },
      { head: 'WITHHELD', cell: ({ withheld }) => number(withheld), right: true }
    ])
  }
}

const show: Action = {
  name: 'show',
  takes: BOX,
  about: 'metadata of its messages, oldest first; never a body',
  options: { ...LIMIT, ...FULL },
  run: async (call, io) => {
    const client = await openAdminClient(call, io)
    const entries = await client.list<EntryFacts>(['queues', ...call.args], 'entries', call.count('limit'))
    if (call.flag('json')) {
      const {
        entries: _,
        nextCursor: __,
        ...facts
      } = await client.get<Static<typeof QueueAnswer>>(['queues', ...call.args], { limit: 1 })
      printJson({ ...facts, entries }, io)
      return EXIT.ok
    }
    const name = nameIn(call)
    const now = Date.now()
    return printList('message', entries, call, io, [
      { head: 'PLACE', cell: ({ seq }) => String(seq), right: true },
      { head: 'FROM', cell: ({ sender }) => name(sender) },
      { head: 'SIZE', cell: ({ bytes }) => size(bytes), right: true },
      { head: 'ACCEPTED', cell: ({ acceptedAt }) => agoOf(acceptedAt, now) },
      { head: 'EXPIRES', cell: ({ expiresAt }) => `in ${span((Date.parse(expiresAt) - now) / 1_000)}` },
      { head: 'WITHHELD', cell: ({ withheld }) => (withheld ? 'yes' : 'no') },
      { head: 'DIGEST', cell: ({ digest }) => (digest === null ? '' : name(digest)) }
    ])
  }
}

const purge: Action = {
  name: 'purge',
  takes: BOX,
  about: 'delete waiting messages for ever; counts them first, and asks',
  options: {
    ...SENDER,
    'older-than': { value: 'SECONDS', about: 'only what was accepted so long ago' },
    'dry-run': { about: 'only count' },
    yes: YES
  },
  run: async (call, io) => {
    const query = { sender: call.text('sender'), olderThanSeconds: call.count('older-than') }
    const client = await openAdminClient(call, io)
    const counts = await purgeWith(client, call.args, { ...query, dryRun: true })
    const what = `${counted(counts.purged.entries, 'message')} (${size(counts.purged.bytes)}) of ${boxOf(call.args)}`
    const isNothing = counts.purged.entries === 0
    if (call.flag('dry-run') || isNothing) {
      if (call.flag('json')) printJson(counts, io)
      else io.stdout.write(isNothing ? `Nothing to delete of ${boxOf(call.args)}.\n` : `${what} would be deleted.\n`)
      return EXIT.ok
    }
    if (!call.flag('yes') && !(await confirm(`Delete ${what} for ever?`, io))) {
      io.stderr.write('Nothing was deleted.\n')
      return EXIT.failed
    }
    const { purged, dryRun } = await purgeWith(client, call.args, query)
    if (call.flag('json')) printJson({ purged, dryRun }, io)
    else
      io.stdout.write(`${counted(purged.entries, 'message')} (${size(purged.bytes)}) of ${boxOf(call.args)} deleted.\n`)
    return EXIT.ok
  }
}

const purgeWith = (client: AdminClient, box: readonly string[], query: object) =>
  client.change<Static<typeof PurgeAnswer>>('DELETE', ['queues', ...box], { query: { ...query } })

const requeue: Action = {
  name: 'requeue',
  takes: BOX,
  about: 'give waiting messages a fresh time to live; a recipient that is here starts over',
  options: {
    ...SENDER,
    withheld: { about: "only those withheld from the recipient's present key, which are freed for it" }
  },
  run: async (call, io) => {
    const client = await openAdminClient(call, io)
    const sender = call.text('sender')
    const body = { withheld: call.flag('withheld'), ...(sender === undefined ? {} : { sender }) }
    const answer = await client.change<Static<typeof RequeueAnswer>>('POST', ['queues', ...call.args, 'requeue'], {
      body
    })
    if (call.flag('json')) printJson(answer, io)
    else io.stdout.write(`${counted(answer.requeued.entries, 'message')} of ${boxOf(call.args)} queued again.\n`)
    return EXIT.ok
  }
}

export const queues: Command = {
  name: 'queues',
  summary: 'what waits for whom; purge it, or queue it again',
  about: [ABOUT_SERVER],
  options: SERVER_OPTIONS,
  exits: SERVER_EXITS,
  actions: [list, show, purge, requeue]
}
