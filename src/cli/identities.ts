// Who owns which name.
import type { Command } from '@commander-js/extra-typings'
import type { Static } from '@sinclair/typebox'
import type { IdentityAnswer, IdentityLine } from '../../plugins/admin/identities.ts'
import {
  ABOUT_SERVER,
  CA_CERT,
  INSECURE,
  JSON_OUTPUT,
  openAdminClient,
  SERVER_EXITS,
  SERVER_URL,
  type ServerOptions
} from './admin-client.ts'
import { endHelp, type Io } from './command.ts'
import { agoOf, counted, plain, shortName } from './format.ts'
import { FULL, LIMIT, printJson, printList, SEARCH, sortOption } from './output.ts'

export function addIdentities(program: Command, io: Io): void {
  const identities = program
    .command('identities')
    .enablePositionalOptions(false)
    .description('list and show who owns a name')
    .addOption(SERVER_URL)
    .addOption(CA_CERT)
    .addOption(INSECURE)
    .addOption(JSON_OUTPUT)
  identities
    .command('list', { isDefault: true })
    .description('list the names that have an owner, connected or not (the default)')
    .option('--network <name>', 'only in this network')
    .addOption(SEARCH)
    .addOption(sortOption('name or since'))
    .addOption(LIMIT)
    .addOption(FULL)
    .action((_, command) => listIdentities(command.optsWithGlobals(), io))
  identities
    .command('show')
    .description('print the keys of a name')
    .argument('<network>')
    .argument('<peer>')
    .action((network, peer, _, command) => showIdentity(network, peer, command.optsWithGlobals(), io))
  endHelp(identities, [ABOUT_SERVER], SERVER_EXITS)
}

interface ListOptions extends ServerOptions {
  readonly network?: string | undefined
  readonly search?: string | undefined
  readonly sort?: string | undefined
  readonly limit?: number | undefined
  readonly full?: true | undefined
}

async function listIdentities(options: ListOptions, io: Io): Promise<void> {
  const { network, search, sort, limit } = options
  const client = await openAdminClient(options, io)
  const found = await client.list<Static<typeof IdentityLine>>(['identities'], 'identities', limit, {
    ...{ network, search, sort }
  })
  const name = options.full ? plain : shortName
  const now = Date.now()
  printList(['identity', 'identities'], found, options, io, [
    { head: 'NETWORK', cell: ({ network }) => name(network) },
    { head: 'PEER', cell: ({ peer }) => name(peer) },
    { head: 'SIGNS WITH', cell: ({ algorithm }) => algorithm },
    { head: 'KEY', cell: ({ keyId }) => (keyId === null ? '' : name(keyId)) },
    { head: 'REGISTERED', cell: ({ registeredAt }) => agoOf(registeredAt, now) },
    { head: 'LAST SEEN', cell: ({ lastSeenAt }) => agoOf(lastSeenAt, now) }
  ])
}

async function showIdentity(network: string, peer: string, options: ServerOptions, io: Io): Promise<void> {
  const client = await openAdminClient(options, io)
  const found = await client.get<Static<typeof IdentityAnswer>>(['identities', network, peer])
  if (options.json) return printJson(found, io)
  const now = Date.now()
  const rows = [
    ['peer', plain(found.peer)],
    ['network', plain(found.network)],
    ['signing key', `${found.algorithm} ${found.signingKey}`],
    ['encryption key', found.keyId ?? 'none'],
    ['keys so far', counted(found.keys.length, 'key')],
    ['registered', `${found.registeredAt} (${agoOf(found.registeredAt, now)})`],
    ['last seen', `${found.lastSeenAt} (${agoOf(found.lastSeenAt, now)})`],
    ['registers', found.challenged ? 'with a challenge only' : 'with or without a challenge']
  ]
  io.stdout.write(rows.map(([label, value]) => `${label!.padEnd(15)} ${value}\n`).join(''))
}
