// The L2PS networks, and what can be changed of them.
import { ask } from './api.js'
import { open } from './dialog.js'
import { byId, element, nameElement } from './dom.js'
import { checkbox, textField } from './fields.js'
import { count, counted } from './format.js'
import { pagedList } from './lists.js'
import { linkTo } from './router.js'
import { liveTable } from './tables.js'

/** @typedef {import('@sinclair/typebox').Static<typeof import('../plugins/admin/networks.ts').NetworkAnswer>} Network */

/** @param {(error: import('./api.js').Refusal | undefined) => void} report */
export function networkList(report) {
  const list = pagedList(byId('networks'), {
    parts: ['networks'],
    field: 'networks',
    page: 'networks',
    filters: [['search', 'Network']],
    report: (error) => {
      const isOff = error?.status === 404
      byId('new-network').hidden = isOff
      byId('networks').hidden = isOff
      byId('no-networks').hidden = !isOff
      report(isOff ? undefined : error)
    },
    table: (host) => liveTable(host, { ...TABLE, actions: actions(() => list.refresh()) })
  })
  byId('new-network').addEventListener('click', () => create(() => list.refresh()))
  return list
}

const TABLE = {
  caption: 'L2PS networks',
  empty: 'There is no L2PS network yet.',
  keyOf: (/** @type {Network} */ { uid }) => uid,
  columns: /** @type {import('./tables.js').Column<Network>[]} */ ([
    {
      title: 'Network',
      kind: 'name',
      of: ({ uid }) => uid,
      href: ({ uid }) => linkTo('peers', { network: uid })
    },
    { title: 'Name', kind: 'name', of: ({ name }) => name ?? '' },
    {
      title: 'State',
      kind: 'mark',
      of: ({ enabled }) => (enabled ? { text: 'enabled', tone: 'good' } : { text: 'disabled', tone: 'bad' })
    },
    { title: 'Open to', of: (network) => (network.membersOnly ? counted(network.members, 'member') : 'everybody') },
    { title: 'Records', of: ({ auditPublic }) => (auditPublic ? 'public' : 'with token') },
    {
      title: 'Waiting',
      kind: 'number',
      of: ({ queue }) => count(queue.entries),
      href: ({ uid }) => linkTo('queues', { network: uid })
    },
    { title: 'Defined in', of: ({ source }) => source }
  ])
}

const isOurs = (/** @type {Network} */ { source }) => source === 'database'

/**
 * @param {() => void} refresh
 * @returns {import('./tables.js').Action<Network>[]}
 */
const actions = (refresh) => [
  { label: 'Members', about: ({ uid }) => `of ${uid}`, isLook: true, run: (network) => showMembers(network, refresh) },
  { label: 'Change', about: ({ uid }) => uid, isOffered: isOurs, run: (network) => change(network, refresh) },
  {
    label: ({ enabled }) => (enabled ? 'Disable' : 'Enable'),
    about: ({ uid }) => uid,
    isOffered: isOurs,
    run: (network) => turn(network, refresh)
  },
  {
    label: 'Delete',
    about: ({ uid }) => uid,
    isDangerous: true,
    isOffered: isOurs,
    run: (network) => drop(network, refresh)
  }
]

/** @param {Partial<Network>} network */
function settings({ name, description, membersOnly, auditPublic }) {
  const fields = {
    name: textField('Name', { maxlength: 256, value: name ?? '' }),
    description: textField('Description', { maxlength: 4096, value: description ?? '' }),
    membersOnly: checkbox('Only its members may join', membersOnly),
    auditPublic: checkbox('Everybody may read its audit records', auditPublic)
  }
  return {
    labels: Object.values(fields).map(({ label }) => label),
    read: () => ({
      name: fields.name.input.value.trim() || null,
      description: fields.description.input.value.trim() || null,
      membersOnly: fields.membersOnly.input.checked,
      auditPublic: fields.auditPublic.input.checked
    })
  }
}

/** @param {() => void} refresh */
function create(refresh) {
  const uid = textField('Uid', {
    required: true,
    maxlength: 128,
    pattern: '[A-Za-z0-9_\\-]+',
    title: 'Letters, digits, _ and -'
  })
  const { labels, read } = settings({})
  open({
    title: 'New network',
    body: [uid.label, ...labels, 'Peers may join it at once.'],
    yes: 'Create',
    run: async () => {
      await ask('POST', ['networks'], { body: { uid: uid.input.value, ...read() } })
      return `Network ${uid.input.value} created.`
    },
    onClose: refresh
  })
}

/**
 * @param {Network} network
 * @param {() => void} refresh
 */
function change(network, refresh) {
  const { labels, read } = settings(network)
  open({
    title: `Change ${network.uid}`,
    body: [...labels, 'Peers that may not be in it any more are shown out at once.'],
    yes: 'Change',
    run: async () => {
      await ask('PATCH', ['networks', network.uid], { body: read() })
      return `Network ${network.uid} changed.`
    },
    onClose: refresh
  })
}

/**
 * @param {Network} network
 * @param {() => void} refresh
 */
function turn({ uid, enabled }, refresh) {
  const verb = enabled ? 'Disable' : 'Enable'
  open({
    title: `${verb} ${uid}`,
    body: [enabled ? 'Its peers are shown out, and none may join. What waits stays.' : 'Peers may join it again.'],
    yes: verb,
    isDangerous: enabled,
    run: async () => {
      await ask('PATCH', ['networks', uid], { body: { enabled: !enabled } })
      return `Network ${uid} ${enabled ? 'disabled' : 'enabled'}.`
    },
    onClose: refresh
  })
}

/**
 * @param {Network} network
 * @param {() => void} refresh
 */
function drop({ uid, queue }, refresh) {
  const force = checkbox(`Delete the ${counted(queue.entries, 'message')} waiting in it, for ever`)
  open({
    title: `Delete ${uid}`,
    body: ['Its peers are shown out. Its history and its audit log stay.', ...(queue.entries > 0 ? [force.label] : [])],
    yes: 'Delete',
    isDangerous: true,
    run: async () => {
      await ask('DELETE', ['networks', uid], { query: { force: force.input.checked } })
      return `Network ${uid} deleted.`
    },
    onClose: refresh
  })
}

/**
 * @param {Network} network
 * @param {() => void} refresh
 */
function showMembers(network, refresh) {
  const { uid } = network
  const host = element('div')
  const list = pagedList(host, {
    parts: ['networks', uid, 'members'],
    field: 'members',
    table: (tableHost) =>
      liveTable(tableHost, {
        caption: `Members of ${uid}`,
        empty: 'No member is listed.',
        keyOf: (/** @type {{ peer: string }} */ { peer }) => peer,
        columns: [{ title: 'Peer', kind: 'name', of: ({ peer }) => peer }],
        actions: [
          {
            label: 'Remove',
            about: ({ peer }) => peer,
            isDangerous: true,
            isOffered: () => isOurs(network),
            run: ({ peer }) => removeMember(network, peer, refresh)
          }
        ]
      })
  })
  const key = textField('New member', { maxlength: 2048, placeholder: 'Key in hex' })
  const add = async () => {
    const { changed } = await ask('PUT', ['networks', uid, 'members', key.input.value.trim()])
    key.input.value = ''
    list.refresh()
    return changed ? 'Member added.' : 'It was a member already.'
  }
  open({
    title: `Members of ${uid}`,
    body: isOurs(network)
      ? [host, key.label, 'The first member closes the network to everybody else.']
      : [host, 'This network is defined by a file; its members are changed there.'],
    isWide: true,
    ...(isOurs(network) ? { yes: 'Add', run: add, staysOpen: true } : {}),
    onClose: () => {
      list.stop()
      refresh()
    }
  })
  list.start()
}

/**
 * @param {Network} network
 * @param {string} peer
 * @param {() => void} refresh
 */
function removeMember(network, peer, refresh) {
  open({
    title: `Remove a member of ${network.uid}`,
    body: [element('p', {}, nameElement(peer)), 'Its sessions are closed when only members may be in the network.'],
    yes: 'Remove',
    isDangerous: true,
    run: async () => {
      await ask('DELETE', ['networks', network.uid, 'members', peer])
      return 'Member removed.'
    },
    onClose: () => showMembers(network, refresh)
  })
}
