import type { Command } from '@commander-js/extra-typings'
import type { Static } from '@sinclair/typebox'
import type { ClosedAnswer, Peer } from '../../plugins/admin/peers.ts'
import {
  ABOUT_SERVER,
  CA_CERT,
  INSECURE,
  JSON_OUTPUT,
  openAdminClient,
  SERVER_EXITS,
  SERVER_URL
} from './admin-client.ts'
import { CommandError, EXIT, endHelp, type Io } from './command.ts'
import { agoOf, counted, plain, shortName, size } from './format.ts'
import { FULL, LIMIT, printJson, printList, SEARCH, sortOption } from './output.ts'

type PeerFacts = Static<typeof Peer>

export function addPeers(program: Command, io: Io): void {
  const peers = program
    .command('peers')
    .enablePositionalOptions(false)
    .description('list connected peers; close their sessions')
    .addOption(SERVER_URL)
    .addOption(CA_CERT)
    .addOption(INSECURE)
    .addOption(JSON_OUTPUT)
  peers
    .command('list', { isDefault: true })
    .description('list connected peers (the default)')
    .option('--network <name>', 'only this network')
    .option('--relay <name>', 'only peers with sessions at this relay: its name or id')
    .addOption(SEARCH)
    .addOption(sortOption('name, since, round-trip, unreceipted, buffered or sessions'))
    .addOption(LIMIT)
    .addOption(FULL)
    .action(async (_, command) => {
      const options = command.optsWithGlobals()
      const client = await openAdminClient(options, io)
      const { network, relay, search, sort, limit } = options
      const silent = new Set<string>()
      const note = ({ unanswered = [] }: { unanswered?: string[] }) => {
        for (const name of unanswered) silent.add(name)
      }
      const query = { network, relay, search, sort }
      const found = await client.list<PeerFacts>(['peers'], 'peers', limit, query, note)
      printPeers(found, options, io)
      if (silent.size > 0) {
        throw new CommandError(EXIT.later, `no answer of ${[...silent].map(plain).join(', ')}: peers there are missing`)
      }
    })
  peers
    .command('close')
    .description('close its sessions with code 4004; it may connect again, and its messages are kept')
    .argument('<network>')
    .argument('<peer>')
    .action(async (network, peer, _, command) => {
      const options = command.optsWithGlobals()
      const client = await openAdminClient(options, io)
      const answer = await client.change<Static<typeof ClosedAnswer>>('DELETE', ['peers', network, peer])
      if (options.json) printJson(answer, io)
      else io.stdout.write(`${counted(answer.closed, 'session')} of ${plain(peer)} in ${plain(network)} closed.\n`)
      const silent = answer.unanswered?.map(plain).join(', ')
      if (silent !== undefined) {
        throw new CommandError(EXIT.later, `no answer of ${silent}: sessions there may still be open. Try again`)
      }
    })
  endHelp(peers, [ABOUT_SERVER, 'In a cluster any relay lists, and closes, the peers of all relays.'], SERVER_EXITS)
}

function printPeers(
  found: PeerFacts[],
  options: { json?: true | undefined; limit?: number | undefined; full?: true | undefined },
  io: Io
): void {
  const name = options.full ? plain : shortName
  const now = Date.now()
  const total = ({ sessions }: PeerFacts, what: (session: PeerFacts['sessions'][number]) => number) =>
    sessions.reduce((sum, session) => sum + what(session), 0)
  const isCluster = found.some(({ relays }) => relays !== undefined)
  printList('peer', found, options, io, [
    { head: 'NETWORK', cell: ({ network }) => name(network) },
    { head: 'PEER', cell: ({ peer }) => name(peer) },
    ...(isCluster
      ? [{ head: 'RELAY', cell: ({ relays = [] }: PeerFacts) => relays.map(({ name }) => plain(name)).join(' ') }]
      : []),
    { head: 'SESSIONS', cell: sessionsOf, right: true },
    { head: 'CAME', cell: ({ sessions: [first] }) => (first === undefined ? '' : agoOf(first.connectedAt, now)) },
    { head: 'FROM', cell: ({ sessions: [first] }) => plain(first?.address ?? '') },
    { head: 'RECEIPT', cell: ({ sessions }) => [...new Set(sessions.map(({ receipt }) => receipt))].join(' ') },
    {
      head: 'UNRECEIPTED',
      cell: (peer) => known(peer, String(total(peer, ({ window }) => window.messages))),
      right: true
    },
    {
      head: 'BUFFERED',
      cell: (peer) => known(peer, size(total(peer, ({ bufferedBytes }) => bufferedBytes))),
      right: true
    }
  ])
}

/** Nothing, where no relay told. */
const known = ({ sessions }: PeerFacts, text: string): string => (sessions.length === 0 ? '' : text)

/** Of a relay that does not answer, as many as the database has. */
const sessionsOf = ({ sessions, relays = [], unanswered }: PeerFacts): string =>
  unanswered ? `${relays.reduce((sum, relay) => sum + relay.sessions, 0)}, no answer` : String(sessions.length)
