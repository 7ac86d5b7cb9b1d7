// Which page is shown, and how: all of it is in the part of the address behind #, so that it can be kept, sent and gone back to.

const HOME = 'overview'

/** @typedef {{ page: string, params: URLSearchParams }} Route */

/**
 * The address of a page. Values that are empty are left out.
 * @param {string} page
 * @param {Record<string, string | undefined>} [params]
 */
export function linkTo(page, params = {}) {
  const given = Object.entries(params).flatMap(([name, value]) => (value ? [[name, value]] : []))
  const query = new URLSearchParams(given).toString()
  return `#${page}${query === '' ? '' : `?${query}`}`
}

/** @returns {Route} */
export function route() {
  const [page = '', query = ''] = location.hash.slice(1).split('?')
  return { page: page === '' ? HOME : page, params: new URLSearchParams(query) }
}

/** @type {Set<(route: Route) => void>} */
const listeners = new Set()

/** @param {(route: Route) => void} listener hears of every page the reader comes to */
export function onRoute(listener) {
  listeners.add(listener)
}

window.addEventListener('hashchange', () => {
  for (const listener of listeners) listener(route())
})

/**
 * Changes what is shown of the present page. `isStep`: one that Back takes back.
 * @param {Record<string, string | undefined>} changes empty values are taken out
 * @param {boolean} [isStep]
 */
export function changeRoute(changes, isStep = false) {
  const { page, params } = route()
  const link = linkTo(page, { ...Object.fromEntries(params), ...changes })
  if (link === location.hash) return
  if (isStep) history.pushState(null, '', link)
  else history.replaceState(null, '', link)
  for (const listener of listeners) listener(route())
}
