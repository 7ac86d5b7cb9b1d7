// The console: asks for the token, then keeps the page that is shown fresh, and says when it cannot.

import { ask, Refusal, token } from './api.js'
import { auditLogs } from './audit.js'
import { statsBoard } from './board.js'
import { closeDialog, prepareDialog } from './dialog.js'
import { byId, setText } from './dom.js'
import { eventList } from './events.js'
import { clock } from './format.js'
import { historyCharts } from './history.js'
import { identityList } from './identities.js'
import { networkList } from './networks.js'
import { showPages } from './pages.js'
import { peerList } from './peers.js'
import { poll } from './polling.js'
import { queueList } from './queues.js'
import { relayList } from './relays.js'

const EVERY_MS = 2_000

const board = statsBoard()
const audit = auditLogs()
/** When the stats on the page were read, ms since 1970; undefined: there are none. @type {number | undefined} */
let readAt
/** What keeps the page from knowing more, by who noticed. @type {Map<string, Refusal>} */
const problems = new Map()

const stats = poll(
  EVERY_MS,
  async () => {
    const answer = await ask('GET', ['stats'])
    readAt = Date.now()
    board.show(answer, readAt)
    if (answer.database.ok) audit.show(answer) // else it knows of no logs
    const isDown = !answer.database.ok
    report('stats')(
      isDown ? new Refusal('The database does not answer.', 503, { problem: 'database-unavailable' }) : undefined
    )
  },
  (error) => report('stats')(error instanceof Refusal ? error : new Refusal(String(error), 0))
)
/** @type {(name: string, title: string, list: ReturnType<typeof queueList>) => import('./pages.js').Page} */
const listPage = (name, title, list) => ({ name, title, polls: [list], enter: (params) => list.enter(params) })

const charts = historyCharts()
const pages = showPages([
  { name: 'overview', title: 'Overview', polls: [charts], enter: (params) => charts.enter(params) },
  listPage('queues', 'Queues', queueList(report('queues'))),
  listPage('peers', 'Peers', peerList(report('peers'))),
  listPage('identities', 'Identities', identityList(report('identities'))),
  listPage('networks', 'Networks', networkList(report('networks'))),
  listPage('relays', 'Relays', relayList(report('relays'))),
  { name: 'audit', title: 'Audit', polls: [] },
  listPage('events', 'Events', eventList(report('events')))
])

/**
 * @param {string} source
 * @returns {(error: Refusal | undefined) => void}
 */
function report(source) {
  return (error) => {
    if (error?.status === 401) return leave('The token is wrong, or was changed.')
    if (error === undefined) problems.delete(source)
    else problems.set(source, error)
    showState()
  }
}

function showState() {
  if (byId('board').hidden) return // an answer that comes after the token was taken back
  const [tone, words, detail] = stateOf()
  const state = byId('state')
  if (state.className !== tone) state.className = tone
  setText(byId('state-text'), words)
  byId('problem').hidden = detail === ''
  setText(byId('problem'), detail)
  byId('board').classList.toggle('stale', tone === 'bad')
}

/** @returns {[tone: string, words: string, detail: string]} */
function stateOf() {
  const found = [...problems.values()]
  const of = (/** @type {string} */ name) => found.find(({ problem }) => problem === name)
  const since = readAt === undefined ? 'No figures were read yet' : `The figures are from ${clock(readAt)}`
  if (of('gone'))
    return ['bad', 'No answer', `The server does not answer. ${since}; this page goes on by itself when it is back.`]
  const busy = of('too-many-requests')
  if (busy) {
    const then = clock(busy.at + busy.retryAfterSeconds * 1_000)
    return ['bad', 'Paused', `This address asks too often. ${since}; this page goes on by itself at ${then}.`]
  }
  if (of('database-unavailable')) {
    return [
      'warn',
      'Database away',
      'The database does not answer: what is counted there is from before, and changes are refused.'
    ]
  }
  const [other] = found
  if (other !== undefined) return ['bad', 'Trouble', other.message]
  return readAt === undefined ? ['', 'Asking …', ''] : ['good', 'Live', '']
}

function enter() {
  byId('enter').hidden = true
  byId('board').hidden = false
  byId('leave').hidden = false
  byId('pages').hidden = false
  showState()
  stats.start()
  pages.start()
  showHolder()
}

/** @param {string} why */
function leave(why) {
  if (byId('enter').hidden === false) return
  stats.stop()
  pages.stop()
  token.forget()
  problems.clear()
  readAt = undefined
  closeDialog()
  byId('board').hidden = true
  byId('leave').hidden = true
  byId('pages').hidden = true
  setText(byId('holder'), '')
  byId('problem').hidden = true
  askForToken(why)
}

/** @param {string} problem */
function askForToken(problem) {
  byId('state').className = ''
  setText(byId('state-text'), 'Not connected')
  setText(byId('facts'), '')
  byId('enter').hidden = false
  setText(byId('enter-problem'), problem)
  field.value = ''
  field.focus()
}

const field = /** @type {HTMLInputElement} */ (byId('token'))

/** Keeps the token once the server takes it. */
async function tryToken() {
  const problem = byId('enter-problem')
  setText(problem, '')
  token.try(field.value.trim())
  try {
    await ask('GET', ['stats'])
    field.value = ''
    token.tell()
    enter()
    byId('page-title').focus()
  } catch (error) {
    token.forget()
    const isWrong = error instanceof Refusal && error.status === 401
    setText(problem, isWrong ? 'This is not the token.' : error instanceof Error ? error.message : String(error))
    field.select()
    field.focus()
  }
}

/** Who is signed in: a viewer is not offered what it may not do. */
async function showHolder() {
  try {
    const { name, role } = await ask('GET', ['token'])
    setText(byId('holder'), role === 'admin' ? name : `${name}, reads only`)
    document.body.classList.toggle('viewer', role !== 'admin')
  } catch {
    // what is wrong is said by the polls
  }
}

function forgetEverything() {
  sessionStorage.clear()
  location.reload() // nothing of what was read stays
}

prepareDialog()
window.addEventListener('hashchange', () => {
  closeDialog()
  for (const source of problems.keys()) if (source !== 'stats') problems.delete(source) // lists that are not asked any more
  showState()
})
token.onSignOut(forgetEverything)
byId('leave').addEventListener('click', () => {
  token.signOut()
  forgetEverything()
})
byId('skip').addEventListener('click', (event) => {
  event.preventDefault() // the address is the page that is shown
  byId('main').focus()
})
byId('enter').addEventListener('submit', (event) => {
  event.preventDefault()
  tryToken()
})
token.find(enter, () => askForToken(''))
