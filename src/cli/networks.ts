import type { Static } from '@sinclair/typebox'
import type { MemberAnswer } from '../../plugins/admin/api/members.ts'
import type { DeletedAnswer, NetworkAnswer } from '../../plugins/admin/api/networks.ts'
import { ABOUT_SERVER, openAdminClient, SERVER_EXITS, SERVER_OPTIONS } from './admin-client.ts'
import { type Action, type Call, type Command, EXIT, type ExitCode, type Io } from './command.ts'
import { confirm, YES } from './confirm.ts'
import { FULL, LIMIT, printJson, printList } from './output.ts'
import { agoOf, counted, number, plain, shortName, size } from './words.ts'

type Network = Static<typeof NetworkAnswer>

const access = ({ membersOnly }: Network) => (membersOnly ? 'members' : 'anybody')

const list: Action = {
  name: '',
  about: 'list L2PS networks, those of files and those of the database',
  options: { ...LIMIT, ...FULL },
  run: async (call, io) => {
    const client = await openAdminClient(call, io)
    const found = await client.list<Network>(['networks'], 'networks', call.count('limit'))
    const name = call.flag('full') ? plain : shortName
    return printList('network', found, call, io, [
      { head: 'NETWORK', cell: ({ uid }) => name(uid) },
      { head: 'STATE', cell: ({ enabled }) => (enabled ? 'enabled' : 'disabled') },
      { head: 'OPEN TO', cell: access },
      { head: 'MEMBERS', cell: ({ members }) => number(members), right: true },
      { head: 'WAITING', cell: ({ queue }) => number(queue.entries), right: true },
      { head: 'SIZE', cell: ({ queue }) => size(queue.bytes), right: true },
      { head: 'FROM', cell: ({ source }) => source }
    ])
  }
}

const show: Action = {
  name: 'show',
  takes: ['UID'],
  about: 'everything about one',
  run: async (call, io) =>
    printNetwork(await (await openAdminClient(call, io)).get<Network>(['networks', ...call.args]), call, io)
}

const create: Action = {
  name: 'create',
  takes: ['UID'],
  about: 'make one; peers may join at once',
  options: {
    name: { value: 'TEXT', about: 'for people' },
    description: { value: 'TEXT', about: 'for people' },
    'members-only': { about: 'only who is listed may join' },
    'audit-public': { about: 'its audit records are for everybody' },
    disabled: { about: 'nobody may join yet' }
  },
  run: async (call, io) => {
    const client = await openAdminClient(call, io)
    const [name, description] = [call.text('name'), call.text('description')]
    const body = {
      uid: call.args[0],
      ...(name === undefined ? {} : { name }),
      ...(description === undefined ? {} : { description }),
      membersOnly: call.flag('members-only'),
      auditPublic: call.flag('audit-public'),
      enabled: !call.flag('disabled')
    }
    return printNetwork(await client.change<Network>('POST', ['networks'], { body }), call, io)
  }
}

const switching = (name: string, enabled: boolean, about: string): Action => ({
  name,
  takes: ['UID'],
  about,
  run: async (call, io) => {
    const client = await openAdminClient(call, io)
    return printNetwork(
      await client.change<Network>('PATCH', ['networks', ...call.args], { body: { enabled } }),
      call,
      io
    )
  }
})

const remove: Action = {
  name: 'delete',
  takes: ['UID'],
  about: 'delete one; refused while messages wait in it; its history and its audit log stay',
  options: { force: { about: 'purge what waits in it, too' }, yes: YES },
  run: async (call, io) => {
    const client = await openAdminClient(call, io)
    const [uid = ''] = call.args
    const { queue } = await client.get<Network>(['networks', uid])
    const force = call.flag('force')
    const waiting = force && queue.entries > 0 ? `, and ${counted(queue.entries, 'message')} that wait in it` : ''
    if (!call.flag('yes') && !(await confirm(`Delete the network ${plain(uid)}${waiting}?`, io))) {
      io.stderr.write('Nothing was deleted.\n')
      return EXIT.failed
    }
    const answer = await client.change<Static<typeof DeletedAnswer>>('DELETE', ['networks', uid], { query: { force } })
    if (call.flag('json')) printJson(answer, io)
    else
      io.stdout.write(`${plain(uid)} deleted${force ? `, with ${counted(answer.purged.entries, 'message')}` : ''}.\n`)
    return EXIT.ok
  }
}

const members: Action = {
  name: 'members',
  takes: ['UID'],
  about: 'list its members',
  options: LIMIT,
  run: async (call, io) => {
    const client = await openAdminClient(call, io)
    const found = await client.list<{ peer: string }>(
      ['networks', ...call.args, 'members'],
      'members',
      call.count('limit')
    )
    return printList('member', found, call, io, [{ head: 'PEER', cell: ({ peer }) => plain(peer) }])
  }
}

const membership = (name: string, method: 'PUT' | 'DELETE', done: string, about: string): Action => ({
  name,
  takes: ['UID', 'PEER'],
  about,
  run: async (call, io) => {
    const client = await openAdminClient(call, io)
    const [uid = '', peer = ''] = call.args
    const answer = await client.change<Static<typeof MemberAnswer>>(method, ['networks', uid, 'members', peer])
    if (call.flag('json')) printJson(answer, io)
    else io.stdout.write(`${answer.peer} ${answer.changed ? done : 'was a member already'}.\n`)
    return EXIT.ok
  }
})

export const networks: Command = {
  name: 'networks',
  summary: 'L2PS networks and their members',
  about: [ABOUT_SERVER, 'A network that a file in L2PS_DIR defines is changed there.'],
  options: SERVER_OPTIONS,
  exits: SERVER_EXITS,
  actions: [
    list,
    show,
    create,
    switching('enable', true, 'let peers join'),
    switching('disable', false, 'let nobody join, and show out who is inside'),
    remove,
    members,
    membership(
      'add-member',
      'PUT',
      'is a member now',
      'list a peer; the first one closes the network to everybody else'
    ),
    membership('remove-member', 'DELETE', 'is no member any more', 'take a peer off the list; it is shown out')
  ]
}

function printNetwork(network: Network, call: Call, io: Io): ExitCode {
  if (call.flag('json')) printJson(network, io)
  else {
    const { uid, name, description, enabled, auditPublic, source, members: count, queue, createdAt } = network
    const rows = [
      ['network', plain(uid)],
      ...(name === null ? [] : [['name', plain(name)]]),
      ...(description === null ? [] : [['about', plain(description)]]),
      ['state', enabled ? 'enabled' : 'disabled'],
      ['open to', access(network)],
      ['members', number(count)],
      ['audit', auditPublic ? 'records are public' : 'records are for the administrator'],
      ['waiting', `${counted(queue.entries, 'message')}, ${size(queue.bytes)}`],
      ['from', source === 'file' ? 'a file in L2PS_DIR' : 'the database'],
      ...(createdAt === null ? [] : [['made', agoOf(createdAt, Date.now())]])
    ] as const
    for (const [label, value] of rows) io.stdout.write(`${label!.padEnd(8)} ${value}\n`)
  }
  return EXIT.ok
}
