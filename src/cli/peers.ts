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
import { endHelp, type Io } from './command.ts'
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
    .addOption(SEARCH)
    .addOption(sortOption('name, since, round-trip, unreceipted, buffered or sessions'))
    .addOption(LIMIT)
    .addOption(FULL)
    .action(async (_, command) => {
      const options = command.optsWithGlobals()
      const client = await openAdminClient(options, io)
      const { network, search, sort, limit } = options
      const found = await client.list<PeerFacts>(['peers'], 'peers', limit, { network, search, sort })
      printPeers(found, options, io)
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
    })
  endHelp(peers, [ABOUT_SERVER, 'Peers are those connected to that process.'], SERVER_EXITS)
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
  printList('peer', found, options, io, [
    { head: 'NETWORK', cell: ({ network }) => name(network) },
    { head: 'PEER', cell: ({ peer }) => name(peer) },
    { head: 'SESSIONS', cell: ({ sessions }) => String(sessions.length), right: true },
    { head: 'CAME', cell: ({ sessions }) => agoOf(sessions[0]!.connectedAt, now) },
    { head: 'FROM', cell: ({ sessions }) => plain(sessions[0]!.address) },
    { head: 'RECEIPT', cell: ({ sessions }) => [...new Set(sessions.map(({ receipt }) => receipt))].join(' ') },
    { head: 'UNRECEIPTED', cell: (peer) => String(total(peer, ({ window }) => window.messages)), right: true },
    { head: 'BUFFERED', cell: (peer) => size(total(peer, ({ bufferedBytes }) => bufferedBytes)), right: true }
  ])
}
