// Who owns which name, and how to free it.
import { ask } from './api.js'
import { complain, open } from './dialog.js'
import { byId, element, nameElement } from './dom.js'
import { checkbox, terms } from './fields.js'
import { ageOf, count, counted, dateAndTime } from './format.js'
import { pagedList, silence } from './lists.js'
import { linkTo } from './router.js'
import { liveTable } from './tables.js'

/** @typedef {import('@sinclair/typebox').Static<typeof import('../plugins/admin/identities.ts').IdentityAnswer>} Identity */
/** @typedef {import('@sinclair/typebox').Static<typeof import('../plugins/admin/identities.ts').IdentityLine>} Line */

/** @param {(error: import('./api.js').Refusal | undefined) => void} report */
export function identityList(report) {
  const list = pagedList(byId('identities'), {
    ...{ parts: ['identities'], field: 'identities', page: 'identities', sort: 'name', isCounted: true, report },
    filters: [
      ['search', 'Peer'],
      ['network', 'Network']
    ],
    table: (host) =>
      liveTable(host, {
        caption: 'Identities',
        empty: 'Nobody has registered yet.',
        keyOf: (/** @type {Line} */ { network, peer }) => JSON.stringify([network, peer]),
        columns: [
          { title: 'Peer', kind: 'name', sort: 'name', of: ({ peer }) => peer },
          {
            title: 'Network',
            kind: 'name',
            of: ({ network }) => network,
            href: ({ network }) => linkTo('identities', { network })
          },
          { title: 'Signs with', of: ({ algorithm }) => algorithm },
          {
            title: 'Registered',
            kind: 'number',
            sort: 'since',
            of: ({ registeredAt }) => `${ageOf(registeredAt)} ago`
          },
          { title: 'Last seen', kind: 'number', of: ({ lastSeenAt }) => `${ageOf(lastSeenAt)} ago` }
        ],
        actions: [
          {
            label: 'Show',
            about: ({ peer }) => `the identity of ${peer}`,
            isLook: true,
            run: ({ network, peer }) => showIdentity(network, peer, () => list.refresh())
          },
          {
            label: 'Release',
            about: ({ peer }) => `the name ${peer}`,
            isDangerous: true,
            run: (line) => release(line, () => list.refresh())
          }
        ]
      })
  })
  return list
}

/**
 * Shows who owns a name.
 * @param {string} network
 * @param {string} peer
 * @param {() => void} [refresh]
 */
export async function showIdentity(network, peer, refresh = () => {}) {
  const host = element('div', { 'aria-live': 'polite' }, element('p', {}, nameElement(peer)))
  const links = element(
    'p',
    { class: 'links' },
    element('a', { href: linkTo('queues', { network, search: peer }) }, 'What waits for it'),
    element('a', { href: linkTo('events', { network, peer }) }, 'What was done to it'),
    element('a', { href: linkTo('peers', { network, search: peer }) }, 'Its sessions')
  )
  open({ title: 'Identity', body: [host, links] })
  try {
    host.replaceChildren(factsOf(await ask('GET', ['identities', network, peer]), refresh))
  } catch (error) {
    complain(error instanceof Error ? error.message : String(error))
  }
}

/**
 * @param {Identity} identity
 * @param {() => void} refresh
 */
function factsOf(identity, refresh) {
  const { network, peer, algorithm, signingKey, keyId, registeredAt, lastSeenAt, keys, challenged } = identity
  const click = () => release(identity, refresh)
  return element(
    'div',
    {},
    terms([
      ['Peer', nameElement(peer)],
      ['Network', nameElement(network)],
      ['Signing key', element('span', {}, `${algorithm} `, element('code', {}, signingKey))],
      ['Encryption key', keyId === null ? 'none' : element('code', {}, keyId)],
      ['Keys so far', count(keys.length)],
      ['Registered', dateAndTime(registeredAt)],
      ['Last seen', dateAndTime(lastSeenAt)],
      ['Registers', challenged ? 'with a challenge only' : 'with or without a challenge']
    ]),
    element('button', { type: 'button', class: 'danger changes', click }, 'Release the name')
  )
}

/**
 * @param {{ network: string, peer: string }} name
 * @param {() => void} refresh
 */
async function release({ network, peer }, refresh) {
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
      const { unanswered } = await ask('DELETE', ['identities', network, peer], {
        query: { force: force.input.checked }
      })
      return `The name is released. ${silence(unanswered, 'sessions there may still be open')}`
    },
    onClose: refresh
  })
}
