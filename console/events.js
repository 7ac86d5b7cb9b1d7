// What administrators did.
import { byId } from './dom.js'
import { bytes, count, dateAndTime } from './format.js'
import { pagedList } from './lists.js'
import { linkTo } from './router.js'
import { liveTable } from './tables.js'

/** @typedef {import('@sinclair/typebox').Static<typeof import('../plugins/admin/events.ts').EventAnswer>} Event */

/** @type {Readonly<Record<Event['action'], string>>} */
const ACTIONS = {
  purge: 'Messages deleted',
  requeue: 'Messages queued again',
  sessionClose: 'Sessions closed',
  identityRelease: 'Name released',
  memberAdd: 'Member added',
  memberRemove: 'Member removed',
  networkCreate: 'Network created',
  networkChange: 'Network changed',
  networkDelete: 'Network deleted'
}

/** @param {(error: import('./api.js').Refusal | undefined) => void} report */
export function eventList(report) {
  return pagedList(byId('events'), {
    ...{ parts: ['events'], field: 'events', page: 'events', report },
    filters: [
      ['peer', 'Peer'],
      ['network', 'Network'],
      ['token', 'Token']
    ],
    table: (host) => liveTable(host, TABLE)
  })
}

const TABLE = {
  caption: 'What administrators did',
  empty: 'No administrator has changed anything yet.',
  keyOf: (/** @type {Event} */ { id }) => String(id),
  columns: /** @type {import('./tables.js').Column<Event>[]} */ ([
    { title: 'When', of: ({ at }) => dateAndTime(at) },
    {
      title: 'Token',
      of: ({ token }) => token ?? '–',
      href: ({ token }) => (token === null ? undefined : linkTo('events', { token }))
    },
    { title: 'What', of: ({ action }) => ACTIONS[action] },
    {
      title: 'Peer',
      kind: 'name',
      of: ({ peer }) => peer ?? '',
      href: ({ network, peer }) => (peer === null ? undefined : linkTo('events', { network, peer }))
    },
    {
      title: 'Network',
      kind: 'name',
      of: ({ network }) => network,
      href: ({ network }) => linkTo('events', { network })
    },
    { title: 'Only from', kind: 'name', of: ({ sender }) => sender ?? '' },
    { title: 'Messages', kind: 'number', of: ({ entries }) => (entries === null ? '' : count(entries)) },
    { title: 'Size', kind: 'number', of: (event) => (event.bytes === null ? '' : bytes(event.bytes)) }
  ])
}
