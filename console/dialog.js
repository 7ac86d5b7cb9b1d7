// One question at a time: the browser's own dialog, which holds the focus, closes on Escape and gives the focus back.
import { byId, element, headingOf, setText } from './dom.js'

/**
 * What a dialog asks. `run` does it, and says what was done; when it throws, the dialog stays and says why.
 * Without `run` there is only something to look at.
 * @typedef {{ title: string, body: readonly (string | Node)[], yes?: string, isDangerous?: boolean, isWide?: boolean,
 *   run?: () => Promise<string>, staysOpen?: boolean, onClose?: () => void }} Question
 */

const dialog = () => /** @type {HTMLDialogElement} */ (byId('dialog'))

/** @type {Question | undefined} */
let asked
/** The heading above what opened the dialog, which may be gone when it closes. @type {HTMLElement | null} */
let origin = null

/** Wires the dialog of the page, once. */
export function prepareDialog() {
  byId('dialog-cancel').addEventListener('click', () => dialog().close())
  dialog().addEventListener('close', () => {
    if (dialog().open) return // this event comes late: the next question is asked already, and open() ended the last one
    const ended = asked
    asked = undefined
    byId('dialog-body').replaceChildren()
    for (const next of [origin, byId('main')]) {
      if (document.activeElement === document.body) next?.focus() // what opened it is gone
    }
    ended?.onClose?.()
  })
  byId('dialog-form').addEventListener('submit', (event) => {
    event.preventDefault()
    answer()
  })
}

/** @param {Question} question */
export function open(question) {
  while (asked !== undefined) {
    const ended = asked
    asked = undefined
    ended.onClose?.() // which may ask again
  }
  asked = question
  const { title, body, yes, isDangerous = false, isWide = false, staysOpen = false, run } = question
  setText(byId('dialog-title'), title)
  byId('dialog-body').replaceChildren(...body.map((part) => (typeof part === 'string' ? element('p', {}, part) : part)))
  for (const id of ['dialog-problem', 'dialog-said']) setText(byId(id), '')
  setText(byId('dialog-cancel'), run === undefined || staysOpen ? 'Close' : 'Cancel')
  const button = yesButton()
  setText(button, yes ?? '')
  button.hidden = run === undefined
  button.disabled = false
  button.classList.toggle('danger', isDangerous)
  dialog().classList.toggle('wide', isWide)
  if (dialog().open) return
  origin = headingOf(document.activeElement)
  dialog().showModal()
}

export const closeDialog = () => dialog().close()

/**
 * Changes the button that says yes, as what it would do changes.
 * @param {string} label
 * @param {boolean} isReady
 */
export function offer(label, isReady) {
  setText(yesButton(), label)
  yesButton().disabled = !isReady
}

/** @param {string} problem */
export const complain = (problem) => setText(byId('dialog-problem'), problem)

const yesButton = () => /** @type {HTMLButtonElement} */ (byId('dialog-yes'))

async function answer() {
  const question = asked
  if (question?.run === undefined || yesButton().disabled) return
  yesButton().disabled = true
  complain('')
  setText(byId('dialog-said'), '')
  try {
    const done = await question.run()
    if (asked === question && question.staysOpen) setText(byId('dialog-said'), done)
    else {
      if (asked === question) dialog().close() // first: while it is open, nothing outside it is read out
      say(done)
    }
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error)
    if (asked === question) complain(problem)
    else say(`${question.title}: ${problem}`)
  }
  if (asked === question) yesButton().disabled = false
}

/** How long a message stays, in ms. */
const SAID_MS = 8_000
/** @type {ReturnType<typeof setTimeout> | undefined} */
let silence

/**
 * Says what was done, to those who see and to those who listen.
 * @param {string} text
 */
function say(text) {
  const said = byId('said')
  said.classList.remove('unseen')
  said.textContent = text
  clearTimeout(silence)
  silence = setTimeout(() => setText(said, ''), SAID_MS)
}

/**
 * Says what can be seen elsewhere, to those who listen.
 * @param {string} text
 */
export function announce(text) {
  say(text)
  byId('said').classList.add('unseen')
}
