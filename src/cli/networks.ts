import type { Command } from '@commander-js/extra-typings'
import type { Static } from '@sinclair/typebox'
import type { MemberAnswer } from '../../plugins/admin/members.ts'
import type { DeletedAnswer, NetworkAnswer } from '../../plugins/admin/networks.ts'
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
import { CommandError, EXIT, endHelp, type Io } from './command.ts'
import { agoOf, counted, number, plain, shortName, size } from './format.ts'
import { confirm, FULL, LIMIT, printJson, printList, SEARCH, YES } from './output.ts'

type Network = Static<typeof NetworkAnswer>

export function addNetworks(program: Command, io: Io): void {
  const networks = program
    .command('networks')
    .enablePositionalOptions(false)
    .description('manage L2PS networks and their members')
    .addOption(SERVER_URL)
    .addOption(CA_CERT)
    .addOption(INSECURE)
    .addOption(JSON_OUTPUT)
  networks
    .command('list', { isDefault: true })
    .description('list the networks of files and of the database (the default)')
    .addOption(SEARCH)
    .addOption(LIMIT)
    .addOption(FULL)
    .action((_, command) => listNetworks(command.optsWithGlobals(), io))
  networks
    .command('show')
    .description('print everything about a network')
    .argument('<uid>')
    .action(async (uid, _, command) => {
      const options = command.optsWithGlobals()
      const client = await openAdminClient(options, io)
      printNetwork(await client.get<Network>(['networks', uid]), options, io)
    })
  networks
    .command('create')
    .description('create a network; peers may join at once')
    .argument('<uid>')
    .option('--name <text>', 'a name for people')
    .option('--description <text>', 'a description for people')
    .option('--members-only', 'only listed members may join')
    .option('--audit-public', 'anyone may read its audit records')
    .option('--disabled', 'nobody may join yet')
    .action((uid, _, command) => createNetwork(uid, command.optsWithGlobals(), io))
  networks
    .command('enable')
    .description('let peers join')
    .argument('<uid>')
    .action((uid, _, command) => setEnabled(uid, true, command.optsWithGlobals(), io))
  networks
    .command('disable')
    .description('let nobody join, and close the sessions of its peers')
    .argument('<uid>')
    .action((uid, _, command) => setEnabled(uid, false, command.optsWithGlobals(), io))
  networks
    .command('delete')
    .description('delete a network; refused while messages wait in it; its history and its audit log are kept')
    .argument('<uid>')
    .option('--force', 'delete the waiting messages too')
    .addOption(YES)
    .action((uid, _, command) => deleteNetwork(uid, command.optsWithGlobals(), io))
  networks
    .command('members')
    .description('list its members')
    .argument('<uid>')
    .addOption(LIMIT)
    .action((uid, _, command) => listMembers(uid, command.optsWithGlobals(), io))
  networks
    .command('add-member')
    .description('add a member; after the first one, nobody else may join')
    .argument('<uid>')
    .argument('<peer>')
    .action((uid, peer, _, command) => changeMember('PUT', uid, peer, command.optsWithGlobals(), io))
  networks
    .command('remove-member')
    .description('remove a member, and close its sessions')
    .argument('<uid>')
    .argument('<peer>')
    .action((uid, peer, _, command) => changeMember('DELETE', uid, peer, command.optsWithGlobals(), io))
  endHelp(
    networks,
    [ABOUT_SERVER, 'A network that is defined by a file in L2PS_DIR can only be changed in that file.'],
    SERVER_EXITS
  )
}

interface ListOptions extends ServerOptions {
  readonly search?: string | undefined
  readonly limit?: number | undefined
  readonly full?: true | undefined
}

async function listNetworks(options: ListOptions, io: Io): Promise<void> {
  const client = await openAdminClient(options, io)
  const found = await client.list<Network>(['networks'], 'networks', options.limit, { search: options.search })
  const name = options.full ? plain : shortName
  printList('network', found, options, io, [
    { head: 'NETWORK', cell: ({ uid }) => name(uid) },
    { head: 'STATE', cell: ({ enabled }) => (enabled ? 'enabled' : 'disabled') },
    { head: 'OPEN TO', cell: access },
    { head: 'MEMBERS', cell: ({ members }) => number(members), right: true },
    { head: 'WAITING', cell: ({ queue }) => number(queue.entries), right: true },
    { head: 'SIZE', cell: ({ queue }) => size(queue.bytes), right: true },
    { head: 'FROM', cell: ({ source }) => source }
  ])
}

interface CreateOptions extends ServerOptions {
  readonly name?: string | undefined
  readonly description?: string | undefined
  readonly membersOnly?: true | undefined
  readonly auditPublic?: true | undefined
  readonly disabled?: true | undefined
}

async function createNetwork(uid: string, options: CreateOptions, io: Io): Promise<void> {
  const client = await openAdminClient(options, io)
  const { name, description, membersOnly = false, auditPublic = false, disabled = false } = options
  const body = { uid, name, description, membersOnly, auditPublic, enabled: !disabled } // JSON drops what is undefined
  printNetwork(await client.change<Network>('POST', ['networks'], { body }), options, io)
}

async function setEnabled(uid: string, enabled: boolean, options: ServerOptions, io: Io): Promise<void> {
  const client = await openAdminClient(options, io)
  printNetwork(await client.change<Network>('PATCH', ['networks', uid], { body: { enabled } }), options, io)
}

interface DeleteOptions extends ServerOptions {
  readonly force?: true | undefined
  readonly yes?: true | undefined
}

async function deleteNetwork(uid: string, options: DeleteOptions, io: Io): Promise<void> {
  const client = await openAdminClient(options, io)
  const { queue } = await client.get<Network>(['networks', uid])
  const { force = false, yes = false } = options
  const waiting = force && queue.entries > 0 ? `, and ${counted(queue.entries, 'message')} that wait in it` : ''
  if (!yes && !(await confirm(`Delete the network ${plain(uid)}${waiting}?`, io))) {
    throw new CommandError(EXIT.failed, 'nothing was deleted')
  }
  const answer = await client.change<Static<typeof DeletedAnswer>>('DELETE', ['networks', uid], { query: { force } })
  const purged = force ? `, with ${counted(answer.purged.entries, 'message')}` : ''
  if (options.json) printJson(answer, io)
  else io.stdout.write(`${plain(uid)} deleted${purged}.\n`)
}

async function listMembers(uid: string, options: ListOptions, io: Io): Promise<void> {
  const client = await openAdminClient(options, io)
  const found = await client.list<{ peer: string }>(['networks', uid, 'members'], 'members', options.limit)
  printList('member', found, options, io, [{ head: 'PEER', cell: ({ peer }) => plain(peer) }])
}

async function changeMember(method: 'PUT' | 'DELETE', uid: string, peer: string, options: ServerOptions, io: Io) {
  const client = await openAdminClient(options, io)
  const answer = await client.change<Static<typeof MemberAnswer>>(method, ['networks', uid, 'members', peer])
  const done = method === 'PUT' ? 'is a member now' : 'is no member any more'
  const unchanged = method === 'PUT' ? 'was a member already' : 'was no member'
  if (options.json) printJson(answer, io)
  else io.stdout.write(`${answer.peer} ${answer.changed ? done : unchanged}.\n`)
}

function printNetwork(network: Network, { json }: ServerOptions, io: Io): void {
  if (json) {
    printJson(network, io)
    return
  }
  const { uid, name, description, enabled, auditPublic, source, members, queue, createdAt } = network
  const rows = [
    ['network', plain(uid)],
    ...(name === null ? [] : [['name', plain(name)]]),
    ...(description === null ? [] : [['about', plain(description)]]),
    ['state', enabled ? 'enabled' : 'disabled'],
    ['open to', access(network)],
    ['members', number(members)],
    ['audit', auditPublic ? 'records are public' : 'records are for the administrator'],
    ['waiting', `${counted(queue.entries, 'message')}, ${size(queue.bytes)}`],
    ['from', source === 'file' ? 'a file in L2PS_DIR' : 'the database'],
    ...(createdAt === null ? [] : [['made', agoOf(createdAt, Date.now())]])
  ] as const
  for (const [label, value] of rows) io.stdout.write(`${label!.padEnd(8)} ${value}\n`)
}

const access = ({ membersOnly }: Network): string => (membersOnly ? 'members' : 'anybody')
