// Who did what, newest first.
import { type Command, Option } from '@commander-js/extra-typings'
import type { Static } from '@sinclair/typebox'
import type { EventAnswer } from '../../plugins/admin/events.ts'
import {
  ABOUT_SERVER,
  CA_CERT,
  INSECURE,
  JSON_OUTPUT,
  openAdminClient,
  SERVER_EXITS,
  SERVER_URL
} from './admin-client.ts'
import { endHelp, type Io, wholeNumber } from './command.ts'
import { number, plain, shortName, size } from './format.ts'
import { FULL, printList } from './output.ts'

/** Listed when nobody says how many. */
const USUAL = 50

export function addEvents(program: Command, io: Io): void {
  const events = program
    .command('events')
    .description('list what administrators did, newest first')
    .option('--network <name>', 'only in this network')
    .option('--peer <name>', 'only what was done to this peer or its mailbox')
    .option('--token <name>', 'only what this token did')
    .option('--action <action>', 'only this action, like purge or networkDelete')
    .addOption(new Option('--limit <n>', 'list at most n').argParser(wholeNumber).default(USUAL))
    .addOption(FULL)
    .addOption(SERVER_URL)
    .addOption(CA_CERT)
    .addOption(INSECURE)
    .addOption(JSON_OUTPUT)
    .action(async (options) => {
      const { network, peer, token, action, limit } = options
      const client = await openAdminClient(options, io)
      const query = { network, peer, token, action }
      const found = await client.list<Static<typeof EventAnswer>>(['events'], 'events', limit, query)
      const name = options.full ? plain : shortName
      printList('event', found, options, io, [
        { head: 'WHEN', cell: ({ at }) => at.replace('T', ' ').replace(/\.\d+Z$/, 'Z') },
        { head: 'TOKEN', cell: ({ token }) => token ?? '?' },
        { head: 'ACTION', cell: ({ action }) => action },
        { head: 'NETWORK', cell: ({ network }) => name(network) },
        { head: 'PEER', cell: ({ peer }) => (peer === null ? '' : name(peer)) },
        { head: 'SENDER', cell: ({ sender }) => (sender === null ? '' : name(sender)) },
        { head: 'MESSAGES', cell: ({ entries }) => (entries === null ? '' : number(entries)), right: true },
        { head: 'SIZE', cell: ({ bytes }) => (bytes === null ? '' : size(bytes)), right: true }
      ])
    })
  endHelp(events, [ABOUT_SERVER], SERVER_EXITS)
}
