// The relays over one database, and what is connected to each.
import { byId } from './dom.js'
import { ageOf, count } from './format.js'
import { pagedList } from './lists.js'
import { linkTo } from './router.js'
import { liveTable } from './tables.js'

/** @typedef {import('@sinclair/typebox').Static<typeof import('../plugins/admin/relays.ts').RelaysAnswer>['relays'][number]} Relay */

/** @param {(error: import('./api.js').Refusal | undefined) => void} report */
export const relayList = (report) =>
  pagedList(byId('relays'), {
    ...{ parts: ['relays'], field: 'relays', isWhole: true, report },
    table: (host) => liveTable(host, TABLE)
  })

const TABLE = {
  caption: 'Relays',
  keyOf: (/** @type {Relay} */ { id }) => id ?? '',
  columns: /** @type {import('./tables.js').Column<Relay>[]} */ ([
    {
      title: 'Relay',
      kind: 'name',
      of: ({ name }) => name,
      href: ({ id, name }) => linkTo('peers', id === null ? {} : { relay: name })
    },
    { title: 'Shown here', kind: 'mark', of: ({ self }) => (self ? { text: 'this one', tone: 'good' } : '') },
    { title: 'Bus', kind: 'mark', of: busOf },
    { title: 'Version', of: ({ version }) => version },
    { title: 'Up for', kind: 'number', of: ({ startedAt }) => ageOf(startedAt) },
    { title: 'Signaling peers', kind: 'number', of: ({ peers }) => count(peers.signaling) },
    { title: 'L2PS peers', kind: 'number', of: ({ peers }) => count(peers.l2ps) },
    { title: 'Sessions', kind: 'number', of: ({ sessions }) => count(sessions) },
    { title: 'Id', kind: 'name', of: ({ id }) => id ?? '–' }
  ])
}

/**
 * @param {Relay} relay
 * @returns {import('./tables.js').Cell}
 */
function busOf({ bus, busConnected }) {
  if (bus === null) return 'alone'
  return busConnected === false ? { text: `${bus}, not connected`, tone: 'bad' } : bus
}
