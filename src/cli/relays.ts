// The relays of a cluster.
import type { Command } from '@commander-js/extra-typings'
import type { Static } from '@sinclair/typebox'
import type { RelaysAnswer } from '../../plugins/admin/relays.ts'
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
import { agoOf, number, plain } from './format.ts'
import { printJson, printList } from './output.ts'

type Relays = Static<typeof RelaysAnswer>
type Relay = Relays['relays'][number]

export function addRelays(program: Command, io: Io): void {
  const relays = program
    .command('relays')
    .description('list the relays of the cluster, and how many peers each of them has')
    .addOption(SERVER_URL)
    .addOption(CA_CERT)
    .addOption(INSECURE)
    .addOption(JSON_OUTPUT)
    .action(async (options) => {
      const answer = await (await openAdminClient(options, io)).get<Relays>(['relays'])
      if (options.json) return printJson(answer, io)
      const now = Date.now()
      printList('relay', answer.relays, options, io, [
        { head: 'RELAY', cell: ({ name }) => plain(name) },
        { head: 'ID', cell: ({ id }) => id ?? '' },
        { head: 'VERSION', cell: ({ version }) => plain(version) },
        { head: 'STARTED', cell: ({ startedAt }) => agoOf(startedAt, now) },
        { head: 'SIGNALING PEERS', cell: ({ peers }) => number(peers.signaling), right: true },
        { head: 'L2PS PEERS', cell: ({ peers }) => number(peers.l2ps), right: true },
        { head: 'SESSIONS', cell: ({ sessions }) => number(sessions), right: true },
        { head: 'BUS', cell: busOf },
        { head: '', cell: ({ self }) => (self ? 'answers' : '') }
      ])
    })
  endHelp(
    relays,
    [ABOUT_SERVER, 'Any relay of a cluster knows all of them; without a cluster there is one.'],
    SERVER_EXITS
  )
}

function busOf({ bus, busConnected }: Relay): string {
  if (bus === null) return 'alone'
  return busConnected === false ? `${bus}, NOT CONNECTED` : bus
}
