// The page: asks for the token, then keeps the board fresh, and says when it cannot.

import { ask, Refusal, token } from './api.js'
import { auditLogs } from './audit.js'
import { figureBoard } from './board.js'
import { closeDialog, prepareDialog } from './dialog.js'
import { byId, setText } from './dom.js'
import { clock } from './format.js'
import { networkList } from './networks.js'
import { identitySearch, peerList } from './peers.js'
import { poll } from './polling.js'
import { queueList } from './queues.js'

const EVERY_MS = 2_000

const figures = figureBoard()
const audit = auditLogs()
/** When the figures on the page were read, ms since 1970; undefined: there are none. @type {number | undefined} */
let readAt
/** What keeps the page from knowing more, by who noticed. @type {Map<string, Refusal>} */
const problems = new Map()

const stats = poll(
  EVERY_MS,
  async () => {
    const answer = await ask('GET', ['stats'])
    readAt = Date.now()
    figures.show(answer, readAt)
    if (answer.database.ok) audit.show(answer) // else it knows of no logs
    const isDown = !answer.database.ok
    report('stats')(
      isDown ? new Refusal('The database does not answer.', 503, { problem: 'database-unavailable' }) : undefined
    )
  },
  (error) => report('stats')(error instanceof Refusal ? error : new Refusal(String(error), 0))
)
const polls = [stats, queueList(report('queues')), peerList(report('peers')), networkList(report('networks'))]

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
  showState()
  for (const each of polls) each.start()
}

/** @param {string} why */
function leave(why) {
  if (byId('enter').hidden === false) return
  for (const each of polls) each.stop()
  token.forget()
  problems.clear()
  readAt = undefined
  closeDialog()
  byId('board').hidden = true
  byId('leave').hidden = true
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
  token.keep(field.value.trim())
  try {
    await ask('GET', ['stats'])
    field.value = ''
    enter()
    byId('rates-title').focus()
  } catch (error) {
    token.forget()
    const isWrong = error instanceof Refusal && error.status === 401
    setText(problem, isWrong ? 'This is not the token.' : error instanceof Error ? error.message : String(error))
    field.select()
    field.focus()
  }
}

prepareDialog()
identitySearch()
byId('leave').addEventListener('click', () => {
  sessionStorage.clear()
  location.reload() // nothing of what was read stays
})
byId('enter').addEventListener('submit', (event) => {
  event.preventDefault()
  tryToken()
})
if (token.read() === null) askForToken('')
else enter()
