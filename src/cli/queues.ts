import { type Command, InvalidArgumentError } from '@commander-js/extra-typings'
import type { Static } from '@sinclair/typebox'
import type { PurgeAnswer, Queue, QueueAnswer, QueueEntryFacts, RequeueAnswer } from '../../plugins/admin/queues.ts'
import {
  ABOUT_SERVER,
  type AdminClient,
  CA_CERT,
  INSECURE,
  JSON_OUTPUT,
  openAdminClient,
  SERVER_EXITS,
  SERVER_URL,
  type ServerOptions
} from './admin-client.ts'
import { CommandError, EXIT, endHelp, type Io, wholeNumber } from './command.ts'
import { ago, agoOf, counted, number, plain, shortName, size, span } from './format.ts'
import { confirm, FULL, LIMIT, printJson, printList, SEARCH, sortOption, YES } from './output.ts'

type QueueFacts = Static<typeof Queue>
type EntryFacts = Static<typeof QueueEntryFacts>
type Mailbox = readonly [network: string, recipient: string]

const SENDER = ['--sender <name>', 'only messages of this sender'] as const
const nameOf = ([network, recipient]: Mailbox) => `${plain(recipient)} in ${plain(network)}`

export function addQueues(program: Command, io: Io): void {
  const queues = program
    .command('queues')
    .enablePositionalOptions(false)
    .description('list mailboxes and their waiting messages; delete them, or queue them again')
    .addOption(SERVER_URL)
    .addOption(CA_CERT)
    .addOption(INSECURE)
    .addOption(JSON_OUTPUT)
  queues
    .command('list', { isDefault: true })
    .description('list mailboxes that are not empty (the default)')
    .option('--network <name>', 'only this network')
    .option('--recipient <name>', 'only mailboxes of this recipient')
    .addOption(SEARCH)
    .addOption(sortOption('name, depth, bytes or oldest'))
    .addOption(LIMIT)
    .addOption(FULL)
    .action((_, command) => listQueues(command.optsWithGlobals(), io))
  queues
    .command('show')
    .description('list the messages of a mailbox, oldest first: metadata, never a body')
    .argument('<network>')
    .argument('<recipient>')
    .addOption(LIMIT)
    .addOption(FULL)
    .action((network, recipient, _, command) => showQueue([network, recipient], command.optsWithGlobals(), io))
  queues
    .command('purge')
    .description('delete waiting messages for ever; counts them first, and asks')
    .argument('<network>')
    .argument('<recipient>')
    .option(...SENDER)
    .option('--older-than <seconds>', 'only messages that were accepted at least so long ago', wholeNumber)
    .option('--dry-run', 'only count')
    .addOption(YES)
    .action((network, recipient, _, command) => purgeQueue([network, recipient], command.optsWithGlobals(), io))
  queues
    .command('delete')
    .description('delete one waiting message for ever; asks first')
    .argument('<network>')
    .argument('<recipient>')
    .argument('<place>', 'its place in the mailbox, as show prints it', placeNumber)
    .addOption(YES)
    .action((network, recipient, place, _, command) =>
      deleteEntry([network, recipient], place, command.optsWithGlobals(), io)
    )
  queues
    .command('requeue')
    .description('give waiting messages a new time to live; a connected recipient gets them again')
    .argument('<network>')
    .argument('<recipient>')
    .option(...SENDER)
    .option('--withheld', 'only messages withheld, for another key or as malformed; they are freed')
    .action((network, recipient, _, command) => requeue([network, recipient], command.optsWithGlobals(), io))
  endHelp(queues, [ABOUT_SERVER], SERVER_EXITS)
}

interface ListOptions extends ServerOptions {
  readonly limit?: number | undefined
  readonly full?: true | undefined
}

async function listQueues(
  options: ListOptions & {
    network?: string | undefined
    recipient?: string | undefined
    search?: string | undefined
    sort?: string | undefined
  },
  io: Io
): Promise<void> {
  const client = await openAdminClient(options, io)
  const { network, recipient, search, sort, limit } = options
  const found = await client.list<QueueFacts>(['queues'], 'queues', limit, { network, recipient, search, sort })
  const name = options.full ? plain : shortName
  printList('queue', found, options, io, [
    { head: 'NETWORK', cell: ({ network }) => name(network) },
    { head: 'RECIPIENT', cell: ({ recipient }) => name(recipient) },
    { head: 'MESSAGES', cell: ({ entries }) => number(entries), right: true },
    { head: 'SIZE', cell: ({ bytes }) => size(bytes), right: true },
    { head: 'OLDEST', cell: ({ oldestAgeSeconds: age }) => (age === null ? '' : ago(age)) },
    { head: 'WITHHELD', cell: ({ withheld }) => number(withheld), right: true }
  ])
}

async function showQueue(mailbox: Mailbox, options: ListOptions, io: Io): Promise<void> {
  const client = await openAdminClient(options, io)
  const entries = await client.list<EntryFacts>(['queues', ...mailbox], 'entries', options.limit)
  if (options.json) {
    const answer = await client.get<Static<typeof QueueAnswer>>(['queues', ...mailbox], { limit: 1 })
    const { entries: _, nextCursor: __, ...facts } = answer
    printJson({ ...facts, entries }, io)
    return
  }
  const name = options.full ? plain : shortName
  const now = Date.now()
  printList('message', entries, options, io, [
    { head: 'PLACE', cell: ({ seq }) => String(seq), right: true },
    { head: 'FROM', cell: ({ sender }) => name(sender) },
    { head: 'SIZE', cell: ({ bytes }) => size(bytes), right: true },
    { head: 'ACCEPTED', cell: ({ acceptedAt }) => agoOf(acceptedAt, now) },
    { head: 'EXPIRES', cell: ({ expiresAt }) => `in ${span((Date.parse(expiresAt) - now) / 1_000)}` },
    {
      head: 'WITHHELD',
      cell: ({ withheld, isMalformed }) => (withheld ? (isMalformed ? 'malformed' : 'other key') : 'no')
    },
    { head: 'DELIVERIES', cell: ({ deliveries }) => number(deliveries), right: true },
    { head: 'DIGEST', cell: ({ digest }) => (digest === null ? '' : name(digest)) }
  ])
}

interface PurgeOptions extends ServerOptions {
  readonly sender?: string | undefined
  readonly olderThan?: number | undefined
  readonly dryRun?: true | undefined
  readonly yes?: true | undefined
}

async function purgeQueue(mailbox: Mailbox, options: PurgeOptions, io: Io): Promise<void> {
  const query = { sender: options.sender, olderThanSeconds: options.olderThan }
  const client = await openAdminClient(options, io)
  const counts = await purge(client, mailbox, { ...query, dryRun: true })
  const what = `${counted(counts.purged.entries, 'message')} (${size(counts.purged.bytes)}) of ${nameOf(mailbox)}`
  const isNothing = counts.purged.entries === 0
  if (options.dryRun || isNothing) {
    if (options.json) printJson(counts, io)
    else io.stdout.write(isNothing ? `Nothing to delete of ${nameOf(mailbox)}.\n` : `${what} would be deleted.\n`)
    return
  }
  if (!options.yes && !(await confirm(`Delete ${what} for ever?`, io))) {
    throw new CommandError(EXIT.failed, 'nothing was deleted')
  }
  const { purged, dryRun } = await purge(client, mailbox, query)
  if (options.json) printJson({ purged, dryRun }, io)
  else io.stdout.write(`${counted(purged.entries, 'message')} (${size(purged.bytes)}) of ${nameOf(mailbox)} deleted.\n`)
}

const purge = (client: AdminClient, mailbox: Mailbox, query: Parameters<AdminClient['get']>[1]) =>
  client.change<Static<typeof PurgeAnswer>>('DELETE', ['queues', ...mailbox], { query: { ...query } })

/** Places count all messages the server ever took, of all mailboxes. */
function placeNumber(text: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('It must be a whole number from 1.')
}

async function deleteEntry(
  mailbox: Mailbox,
  place: number,
  options: ServerOptions & { yes?: true | undefined },
  io: Io
): Promise<void> {
  const client = await openAdminClient(options, io)
  const what = `message ${place} of ${nameOf(mailbox)}`
  if (!options.yes && !(await confirm(`Delete ${what} for ever?`, io))) {
    throw new CommandError(EXIT.failed, 'nothing was deleted')
  }
  const path = ['queues', ...mailbox, String(place)]
  const answer = await client.change<Static<typeof PurgeAnswer>>('DELETE', path)
  if (options.json) printJson(answer, io)
  else io.stdout.write(`Deleted ${what} (${size(answer.purged.bytes)}).\n`)
}

async function requeue(
  mailbox: Mailbox,
  options: ServerOptions & { sender?: string | undefined; withheld?: true | undefined },
  io: Io
): Promise<void> {
  const client = await openAdminClient(options, io)
  const { sender } = options
  const body = { withheld: options.withheld === true, ...(sender === undefined ? {} : { sender }) }
  const answer = await client.change<Static<typeof RequeueAnswer>>('POST', ['queues', ...mailbox, 'requeue'], { body })
  if (options.json) printJson(answer, io)
  else io.stdout.write(`${counted(answer.requeued.entries, 'message')} of ${nameOf(mailbox)} queued again.\n`)
}
