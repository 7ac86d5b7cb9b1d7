// Who is connected, and how to end it.
import { ask } from './api.js'
import { open } from './dialog.js'
import { byId, element, nameElement } from './dom.js'
import { ageOf, bytes, count, counted, milliseconds } from './format.js'
import { showIdentity } from './identities.js'
import { pagedList, silence } from './lists.js'
import { linkTo } from './router.js'
import { liveTable } from './tables.js'

/** @typedef {import('@sinclair/typebox').Static<typeof import('../plugins/admin/peers.ts').Peer>} Peer */

/** @param {(error: import('./api.js').Refusal | undefined) => void} report */
export function peerList(report) {
  const list = pagedList(byId('peers'), {
    parts: ['peers'],
    field: 'peers',
    ...{ page: 'peers', sort: 'name' },
    filters: [
      ['search', 'Peer'],
      ['network', 'Network'],
      ['relay', 'Relay', true]
    ],
    report,
    table: (host) => liveTable(host, { ...TABLE, actions: actions(() => list.refresh()) })
  })
  return list
}

const TABLE = {
  caption: 'Connected peers',
  empty: 'Nobody is connected.',
  // Sorted by what only the relays know, a peer at two relays is there twice.
  keyOf: (/** @type {Peer} */ { network, peer, relays }) =>
    JSON.stringify([network, peer, relays?.map(({ id }) => id)]),
  columns: /** @type {import('./tables.js').Column<Peer>[]} */ ([
    { title: 'Peer', kind: 'name', sort: 'name', of: ({ peer }) => peer },
    {
      title: 'Network',
      kind: 'name',
      of: ({ network }) => network,
      href: ({ network }) => linkTo('peers', { network })
    },
    {
      title: 'Relay',
      kind: 'name',
      isOptional: true,
      of: ({ relays = [] }) => relays.map(({ name }) => name).join(', '),
      href: ({ relays = [] }) => (relays.length === 1 ? linkTo('peers', { relay: relays[0]?.name }) : undefined)
    },
    { title: 'Sessions', kind: 'number', sort: 'sessions', isLarge: true, of: sessionsOf },
    { title: 'Here for', kind: 'number', sort: 'since', of: ({ sessions }) => ageOf(earliest(sessions)) },
    {
      title: 'Receipts',
      kind: 'mark',
      of: ({ sessions }) => [...new Set(sessions.map(({ receipt }) => receipt))].join(', ') || '–'
    },
    {
      title: 'Under way',
      ...{ kind: 'number', sort: 'unreceipted', isLarge: true },
      of: ({ sessions }) => known(sessions, count(sum(sessions, ({ window }) => window.messages))),
      href: ({ network, peer }) => linkTo('queues', { network, search: peer })
    },
    {
      title: 'Unsent',
      ...{ kind: 'number', sort: 'buffered', isLarge: true },
      of: ({ sessions }) => known(sessions, bytes(sum(sessions, (one) => one.bufferedBytes)))
    },
    { title: 'Round trip', kind: 'number', sort: 'round-trip', isLarge: true, of: ({ sessions }) => slowest(sessions) },
    {
      title: 'From',
      kind: 'name',
      of: ({ sessions }) => [...new Set(sessions.map(({ address }) => address))].join(', ')
    }
  ])
}

/** Nothing, where no relay told. @param {Peer['sessions']} sessions @param {string} text */
const known = (sessions, text) => (sessions.length === 0 ? '–' : text)

/** How many sessions: of a relay that does not answer, as many as the database has. @param {Peer} peer */
const amountOf = ({ sessions, relays = [], unanswered = false }) =>
  unanswered ? relays.reduce((all, relay) => all + relay.sessions, 0) : sessions.length

/**
 * @param {Peer} peer
 * @returns {import('./tables.js').Cell}
 */
function sessionsOf(peer) {
  const amount = count(amountOf(peer))
  return peer.unanswered ? { text: `${amount}, no answer`, tone: 'bad' } : amount
}

/** @param {Peer['sessions']} sessions */
const earliest = (sessions) => sessions.map(({ registeredAt }) => registeredAt).sort()[0] ?? null

/**
 * @param {Peer['sessions']} sessions
 * @param {(session: Peer['sessions'][number]) => number} of
 */
const sum = (sessions, of) => sessions.reduce((all, session) => all + of(session), 0)

/** @param {Peer['sessions']} sessions */
function slowest(sessions) {
  const trips = sessions.flatMap(({ roundTripMs }) => roundTripMs ?? [])
  return trips.length === 0 ? '–' : milliseconds(Math.max(...trips))
}

/**
 * @param {() => void} refresh
 * @returns {import('./tables.js').Action<Peer>[]}
 */
const actions = (refresh) => [
  {
    label: 'Identity',
    about: ({ peer }) => `of ${peer}`,
    isLook: true,
    run: ({ network, peer }) => showIdentity(network, peer)
  },
  {
    label: 'Close',
    about: ({ peer }) => `the sessions of ${peer}`,
    isDangerous: true,
    run: (peer) => closeSessions(peer, refresh)
  }
]

/**
 * @param {Peer} peer
 * @param {() => void} refresh
 */
function closeSessions({ network, peer, ...facts }, refresh) {
  open({
    title: `Close ${counted(amountOf({ network, peer, ...facts }), 'session')}`,
    body: [
      element('p', {}, 'Of ', nameElement(peer), ' in ', nameElement(network), '.'),
      'The peer may come back at once; its messages wait for it.'
    ],
    yes: 'Close',
    isDangerous: true,
    run: async () => {
      const { closed, unanswered } = await ask('DELETE', ['peers', network, peer])
      return `${counted(closed, 'session')} closed. ${silence(unanswered, 'sessions there may still be open')}`
    },
    onClose: refresh
  })
}
