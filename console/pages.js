// The pages: which there are, which is shown, and what is asked for it. A further page is a section in index.html (class `page`,
// id `page-NAME`) and an entry here.
import { byId, element, setText } from './dom.js'
import { linkTo, onRoute, route } from './router.js'

/**
 * @typedef {{ name: string, title: string, polls: readonly { start: () => void, stop: () => void }[],
 *   enter?: (params: URLSearchParams) => void }} Page
 */

/**
 * Builds the navigation; `start` shows the page of the address and follows it.
 * @param {readonly Page[]} pages the first is shown for an address that names none
 */
export function showPages(pages) {
  const links = new Map(pages.map(({ name, title }) => [name, element('a', { href: linkTo(name) }, title)]))
  byId('pages').replaceChildren(element('ul', {}, ...[...links.values()].map((link) => element('li', {}, link))))
  /** @type {Page | undefined} */
  let shown
  let isStarted = false

  /** @param {import('./router.js').Route} to */
  function show({ page: name, params }) {
    const next = pages.find((page) => page.name === name) ?? pages[0]
    if (next === undefined || !isStarted) return
    const isOther = next !== shown
    if (isOther) {
      for (const poll of shown?.polls ?? []) poll.stop()
      for (const page of pages) byId(`page-${page.name}`).hidden = page !== next
      for (const [each, link] of links) {
        if (each === next.name) link.setAttribute('aria-current', 'page')
        else link.removeAttribute('aria-current')
      }
      document.title = `${next.title} · Demos Relay`
      setText(byId('page-title'), next.title)
      window.scrollTo(0, 0)
    }
    next.enter?.(params)
    if (!isOther) return
    const isMove = shown !== undefined
    shown = next
    for (const poll of next.polls) poll.start()
    if (isMove) byId('page-title').focus() // so that it is read out, and Tab goes on from here
  }

  onRoute(show)
  return {
    start() {
      isStarted = true
      show(route())
    },
    stop() {
      isStarted = false
      for (const poll of shown?.polls ?? []) poll.stop()
      shown = undefined
    }
  }
}
