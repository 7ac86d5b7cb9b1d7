// Mailboxes that hold something, and what can be done with them.
import { ask } from './api.js'
import { complain, offer, open } from './dialog.js'
import { byId, element, nameElement } from './dom.js'
import { checkbox, choice, textField } from './fields.js'
import { age, bytes, count, counted, dateAndTime } from './format.js'
import { pagedList } from './lists.js'
import { linkTo } from './router.js'
import { liveTable } from './tables.js'

/** @typedef {import('@sinclair/typebox').Static<typeof import('../plugins/admin/queues.ts').Queue>} Queue */
/** @typedef {import('@sinclair/typebox').Static<typeof import('../plugins/admin/queues.ts').QueueEntryFacts>} Entry */

const AGES = /** @type {const} */ ([
  ['', 'Any age'],
  ['3600', 'Older than an hour'],
  ['86400', 'Older than a day'],
  ['604800', 'Older than a week']
])

/** @param {(error: import('./api.js').Refusal | undefined) => void} report */
export function queueList(report) {
  const list = pagedList(byId('queues'), {
    parts: ['queues'],
    field: 'queues',
    ...{ page: 'queues', sort: '-depth', isCounted: true },
    filters: [
      ['search', 'Recipient'],
      ['network', 'Network']
    ],
    report,
    table: (host) => liveTable(host, { ...TABLE, actions: actions(() => list.refresh()) })
  })
  return list
}

const TABLE = {
  caption: 'Mailboxes',
  empty: 'No message waits.',
  keyOf: (/** @type {Queue} */ { network, recipient }) => JSON.stringify([network, recipient]),
  columns: /** @type {import('./tables.js').Column<Queue>[]} */ ([
    { title: 'Recipient', kind: 'name', sort: 'name', of: ({ recipient }) => recipient },
    {
      title: 'Network',
      kind: 'name',
      of: ({ network }) => network,
      href: ({ network }) => linkTo('queues', { network })
    },
    { title: 'Messages', kind: 'number', sort: 'depth', isLarge: true, of: ({ entries }) => count(entries) },
    { title: 'Size', kind: 'number', sort: 'bytes', isLarge: true, of: (queue) => bytes(queue.bytes) },
    { title: 'Oldest', kind: 'number', sort: 'oldest', of: ({ oldestAgeSeconds }) => age(oldestAgeSeconds) },
    { title: 'Withheld', kind: 'number', of: ({ withheld }) => (withheld === 0 ? '–' : count(withheld)) }
  ])
}

/**
 * @param {() => void} refresh
 * @returns {import('./tables.js').Action<Queue>[]}
 */
const actions = (refresh) => [
  {
    label: 'Show',
    about: ({ recipient }) => `the queue of ${recipient}`,
    isLook: true,
    run: (queue) => showEntries(queue, refresh)
  },
  {
    label: 'Requeue',
    about: ({ recipient }) => `the messages for ${recipient}`,
    run: (queue) => requeue(queue, refresh)
  },
  {
    label: 'Purge',
    about: ({ recipient }) => `the queue of ${recipient}`,
    isDangerous: true,
    run: (queue) => purge(queue, refresh)
  }
]

/** @param {Queue} queue */
const whose = ({ network, recipient }) =>
  element('p', {}, 'For ', nameElement(recipient), ' in ', nameElement(network), '.')

/** @param {Entry} entry */
function stateOf({ withheld, isMalformed }) {
  if (!withheld) return 'waiting'
  return { text: isMalformed ? 'malformed' : 'for another key', tone: /** @type {const} */ ('warn') }
}

/**
 * @param {Queue} queue
 * @param {() => void} refresh
 */
function showEntries(queue, refresh) {
  const host = element('div')
  const list = pagedList(host, {
    parts: ['queues', queue.network, queue.recipient],
    field: 'entries',
    table: (tableHost) =>
      liveTable(tableHost, {
        caption: 'Waiting messages',
        empty: 'Nothing waits any more.',
        keyOf: (/** @type {Entry} */ { seq }) => String(seq),
        columns: [
          { title: 'Place', kind: 'number', of: ({ seq }) => String(seq) },
          { title: 'Sender', kind: 'name', of: ({ sender }) => sender },
          { title: 'Size', kind: 'number', of: (entry) => bytes(entry.bytes) },
          { title: 'Accepted', of: ({ acceptedAt }) => dateAndTime(acceptedAt) },
          { title: 'Expires', of: ({ expiresAt }) => dateAndTime(expiresAt) },
          { title: 'Deliveries', kind: 'number', of: ({ deliveries }) => count(deliveries) },
          { title: 'State', kind: 'mark', of: stateOf }
        ],
        actions: [
          {
            label: 'Delete',
            about: ({ seq, sender }) => `message ${seq} from ${sender}`,
            isDangerous: true,
            run: (entry) => deleteEntry(queue, entry, refresh)
          }
        ]
      })
  })
  open({
    title: 'Waiting messages',
    body: [whose(queue), host],
    isWide: true,
    onClose: () => {
      list.stop()
      refresh()
    }
  })
  list.start()
}

/**
 * @param {Queue} queue
 * @param {Entry} entry
 * @param {() => void} refresh
 */
function deleteEntry(queue, { seq, sender, deliveries }, refresh) {
  open({
    title: `Delete message ${seq}`,
    body: [
      whose(queue),
      element('p', {}, 'From ', nameElement(sender), `, sent ${counted(deliveries, 'time')} without a receipt.`),
      'For ever: nobody gets it back. The audit log records it.'
    ],
    yes: 'Delete',
    isDangerous: true,
    run: async () => {
      const { purged } = await ask('DELETE', ['queues', queue.network, queue.recipient, String(seq)])
      return `${counted(purged.entries, 'message')} deleted, ${bytes(purged.bytes)}.`
    },
    onClose: () => showEntries(queue, refresh)
  })
}

/**
 * @param {Queue} queue
 * @param {() => void} refresh
 */
function requeue(queue, refresh) {
  const { network, recipient, withheld } = queue
  const only = checkbox(`Only those that are withheld (${count(withheld)}), freed for the present key`)
  only.input.disabled = withheld === 0
  open({
    title: 'Queue again',
    body: [
      whose(queue),
      'The messages get a fresh time to live. A recipient that is here starts over with what it was not sent.',
      only.label
    ],
    yes: 'Queue again',
    run: async () => {
      const { requeued } = await ask('POST', ['queues', network, recipient, 'requeue'], {
        body: { withheld: only.input.checked }
      })
      return `${counted(requeued.entries, 'message')} queued again.`
    },
    onClose: refresh
  })
}

/**
 * Counts before it deletes: the button says how many.
 * @param {Queue} queue
 * @param {() => void} refresh
 */
function purge(queue, refresh) {
  const parts = ['queues', queue.network, queue.recipient]
  const sender = textField('Only from this sender', { maxlength: 256, placeholder: 'Every sender' })
  const older = choice('Accepted', AGES)
  const found = element('p', { class: 'found', role: 'status' })
  const query = () => ({ sender: sender.input.value.trim(), olderThanSeconds: older.input.value })
  let looks = 0

  async function dryRun() {
    const look = ++looks
    offer('Delete', false)
    try {
      const { purged } = await ask('DELETE', parts, { query: { ...query(), dryRun: true } })
      if (look !== looks) return
      complain('')
      found.textContent = `This would delete ${counted(purged.entries, 'message')}, ${bytes(purged.bytes)}.`
      offer(`Delete ${counted(purged.entries, 'message')}`, purged.entries > 0)
    } catch (error) {
      if (look === looks) complain(error instanceof Error ? error.message : String(error))
    }
  }

  for (const { input } of [sender, older]) input.addEventListener('input', dryRun)
  open({
    title: 'Delete waiting messages',
    body: [
      whose(queue),
      element('div', { class: 'row' }, sender.label, older.label),
      found,
      'For ever: nobody gets them back. The audit log records it.'
    ],
    yes: 'Delete',
    isDangerous: true,
    run: async () => {
      const { purged } = await ask('DELETE', parts, { query: query() })
      return `${counted(purged.entries, 'message')} deleted, ${bytes(purged.bytes)}.`
    },
    onClose: () => {
      looks++
      refresh()
    }
  })
  dryRun()
}
