// Who is connected, who owns a name, and how to end either.
import { ask } from './api.js'
import { open } from './dialog.js'
import { byId, element, nameElement, setText } from './dom.js'
import { checkbox, terms } from './fields.js'
import { ageOf, bytes, count, counted, dateAndTime, milliseconds } from './format.js'
import { pagedList } from './lists.js'
import { headingOf, liveTable } from './tables.js'

/** @typedef {import('@sinclair/typebox').Static<typeof import('../plugins/admin/peers.ts').Peer>} Peer */
/** @typedef {import('@sinclair/typebox').Static<typeof import('../plugins/admin/identities.ts').IdentityAnswer>} Identity */

/** @param {(error: import('./api.js').Refusal | undefined) => void} report */
export function peerList(report) {
  const list = pagedList(byId('peers'), {
    parts: ['peers'],
    field: 'peers',
    filters: [['network', 'Network']],
    report,
    table: (host) => liveTable(host, { ...TABLE, actions: actions(() => list.refresh()) })
  })
  return list
}

const TABLE = {
  caption: 'Connected peers',
  empty: 'Nobody is connected.',
  keyOf: (/** @type {Peer} */ { network, peer }) => JSON.stringify([network, peer]),
  columns: /** @type {import('./tables.js').Column<Peer>[]} */ ([
    { title: 'Peer', kind: 'name', of: ({ peer }) => peer },
    { title: 'Network', kind: 'name', of: ({ network }) => network },
    { title: 'Sessions', kind: 'number', of: ({ sessions }) => count(sessions.length) },
    { title: 'Here for', kind: 'number', of: ({ sessions }) => ageOf(earliest(sessions)) },
    {
      title: 'Receipts',
      kind: 'mark',
      of: ({ sessions }) => [...new Set(sessions.map(({ receipt }) => receipt))].join(', ')
    },
    { title: 'Under way', kind: 'number', of: ({ sessions }) => count(sum(sessions, ({ window }) => window.messages)) },
    { title: 'Unsent', kind: 'number', of: ({ sessions }) => bytes(sum(sessions, (one) => one.bufferedBytes)) },
    { title: 'Round trip', kind: 'number', of: ({ sessions }) => slowest(sessions) },
    {
      title: 'From',
      kind: 'name',
      of: ({ sessions }) => [...new Set(sessions.map(({ address }) => address))].join(', ')
    }
  ])
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
  { label: 'Identity', about: ({ peer }) => `of ${peer}`, run: ({ network, peer }) => lookUp(network, peer) },
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
function closeSessions({ network, peer, sessions }, refresh) {
  open({
    title: `Close ${counted(sessions.length, 'session')}`,
    body: [
      element('p', {}, 'Of ', nameElement(peer), ' in ', nameElement(network), '.'),
      'The peer may come back at once; its messages wait for it.'
    ],
    yes: 'Close',
    isDangerous: true,
    run: async () => {
      const { closed } = await ask('DELETE', ['peers', network, peer])
      return `${counted(closed, 'session')} closed.`
    },
    onClose: refresh
  })
}

/** Wires the form that asks who owns a name. */
export function identitySearch() {
  const form = /** @type {HTMLFormElement} */ (byId('find-identity'))
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    const fields = new FormData(form)
    lookUp(String(fields.get('network')).trim(), String(fields.get('peer')))
  })
}

/**
 * @param {string} network
 * @param {string} peer
 */
async function lookUp(network, peer) {
  const host = byId('identity')
  for (const [name, value] of Object.entries({ network, peer })) {
    const input = /** @type {HTMLInputElement} */ (byId(`identity-${name}`))
    input.value = value
  }
  headingOf(host)?.scrollIntoView({ block: 'nearest' })
  setText(byId('identity-problem'), '')
  try {
    show(host, await ask('GET', ['identities', network, peer]))
  } catch (error) {
    host.replaceChildren()
    setText(byId('identity-problem'), error instanceof Error ? error.message : String(error))
  }
}

/**
 * @param {HTMLElement} host
 * @param {Identity} identity
 */
function show(host, identity) {
  const { network, peer, algorithm, signingKey, keyId, registeredAt, lastSeenAt, keys } = identity
  const button = element('button', { type: 'button', class: 'danger', click: () => release(identity) }, 'Release')
  host.replaceChildren(
    terms([
      ['Peer', nameElement(peer)],
      ['Network', nameElement(network)],
      ['Signing key', element('span', {}, `${algorithm} `, element('code', {}, signingKey))],
      ['Encryption key', keyId === null ? 'none' : element('code', {}, keyId)],
      ['Keys so far', count(keys.length)],
      ['Registered', dateAndTime(registeredAt)],
      ['Last seen', dateAndTime(lastSeenAt)]
    ]),
    button
  )
}

/** @param {Identity} identity */
async function release({ network, peer }) {
  const { total } = await ask('GET', ['queues', network, peer], { query: { limit: 1 } }).catch(() => ({ total: 0 }))
  const force = checkbox(`Delete the ${counted(total, 'message')} waiting for its owner, for ever`)
  open({
    title: 'Release a name',
    body: [
      element('p', {}, nameElement(peer), ' in ', nameElement(network), '.'),
      'Whoever registers the name next owns it. Its sessions are closed.',
      ...(total > 0 ? [force.label] : [])
    ],
    yes: 'Release',
    isDangerous: true,
    run: async () => {
      await ask('DELETE', ['identities', network, peer], { query: { force: force.input.checked } })
      byId('identity').replaceChildren(element('p', { class: 'empty' }, 'The name is nobody’s now.'))
      return 'The name is released.'
    }
  })
}
