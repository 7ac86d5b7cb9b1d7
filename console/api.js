// The administration API as this page uses it: with the token of this tab, and with every failure named.

const TOKEN = 'demos-relay token'
/** Longest wait for an answer, in ms. */
const PATIENCE_MS = 15_000

/** Longest wait for another tab that knows the token before a person is asked, in ms. */
const TABS_MS = 200

/** Tabs of the console in this browser: one that is signed in tells the others the token. Nothing is written to disk. */
const tabs = new BroadcastChannel(TOKEN)

/** The token of this tab is not known to be right yet: other tabs are not told. */
let isTried = false

/** The token lives as long as a tab of the console does, or until somebody signs out in one of them. */
export const token = {
  read: () => sessionStorage.getItem(TOKEN),
  /** @param {string} text */
  keep: (text) => sessionStorage.setItem(TOKEN, text),
  /** @param {string} text what a person has typed; `tell` says that the server takes it */
  try: (text) => {
    isTried = true
    token.keep(text)
  },
  /** The server takes it: other tabs may use it. */
  tell: () => {
    isTried = false
    tabs.postMessage({ token: token.read() })
  },
  forget: () => sessionStorage.removeItem(TOKEN),
  /** Here and in every other tab. */
  signOut: () => {
    sessionStorage.clear()
    tabs.postMessage({ isOut: true })
  },
  /**
   * Asks the other tabs.
   * @param {() => void} found is called once there is a token, which may be long after `missing`: a busy tab answers late
   * @param {() => void} missing
   */
  find: (found, missing) => {
    if (token.read() !== null) return found()
    const timer = setTimeout(missing, TABS_MS)
    tabs.addEventListener('message', ({ data }) => {
      if (typeof data?.token !== 'string' || token.read() !== null) return
      clearTimeout(timer)
      isTried = false
      token.keep(data.token)
      found()
    })
    tabs.postMessage({ isAsked: true })
  },
  /** @param {() => void} listener hears that another tab signed out */
  onSignOut: (listener) =>
    tabs.addEventListener('message', ({ data }) => {
      if (data?.isOut === true) listener()
    })
}

tabs.addEventListener('message', ({ data }) => {
  const known = token.read()
  if (data?.isAsked === true && known !== null && !isTried) tabs.postMessage({ token: known })
})

/** The server said no (`status`, and a problem of RFC 9457), or nothing (`status` 0). */
export class Refusal extends Error {
  /**
   * @param {string} message
   * @param {number} status
   * @param {{ problem?: string, field?: string, retryAfterSeconds?: number }} [about]
   */
  constructor(message, status, about = {}) {
    super(message)
    this.name = 'Refusal'
    this.status = status
    this.problem = about.problem
    this.field = about.field
    this.retryAfterSeconds = about.retryAfterSeconds ?? 0
    /** ms since 1970 */
    this.at = Date.now()
  }
}

/**
 * Where this server answers, with the parts as a path. Relative to the page: also behind a proxy with a prefix.
 * @param {...string} parts
 */
export function address(...parts) {
  const hidden = parts.find((part) => part === '.' || part === '..' || part === '')
  if (hidden !== undefined)
    throw new Refusal(`A browser cannot ask for the name “${hidden}”; curl --path-as-is can.`, 0)
  return new URL(`../${parts.map((part) => encodeURIComponent(part.toWellFormed())).join('/')}`, document.baseURI)
}

/**
 * Asks the administration API. Throws `Refusal`.
 * @param {'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'} method
 * @param {readonly string[]} parts of the path below /admin
 * @param {{ query?: Record<string, string | number | boolean | undefined>, body?: object }} [options]
 * @returns {Promise<any>}
 */
export async function ask(method, parts, { query = {}, body } = {}) {
  const url = address('admin', ...parts)
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') url.searchParams.set(name, String(value))
  }
  const headers = { authorization: `Bearer ${token.read() ?? ''}` }
  const response = await reach(url, {
    method,
    headers: body === undefined ? headers : { ...headers, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  })
  const answer = await readJson(response)
  if (response.ok) return answer
  throw refusalOf(response, answer)
}

/**
 * @param {URL} url
 * @param {RequestInit} [options]
 */
export async function reach(url, options = {}) {
  try {
    return await fetch(url, {
      ...{ cache: 'no-store', credentials: 'omit', redirect: 'error', signal: AbortSignal.timeout(PATIENCE_MS) },
      ...options
    })
  } catch {
    throw new Refusal('The server does not answer.', 0, { problem: 'gone' })
  }
}

/** @param {Response} response */
async function readJson(response) {
  try {
    return await response.json()
  } catch {
    if (!response.ok) return {} // a proxy's own page: the status has to do
    throw new Refusal('The answer broke off.', 0, { problem: 'gone' })
  }
}

/**
 * @param {Response} response
 * @param {{ type?: string, title?: string, detail?: string, field?: string }} answer
 */
export function refusalOf(response, { type, title, detail, field }) {
  const seconds = Number(response.headers.get('retry-after'))
  const words = [title ?? `The server answered ${response.status}`, detail].filter((each) => each !== undefined)
  const problem = type?.split('#')[1]
  return new Refusal(`${words.join(': ')}.`, response.status, {
    ...(problem === undefined ? {} : { problem }),
    ...(field === undefined ? {} : { field }),
    ...(seconds > 0 ? { retryAfterSeconds: seconds } : {})
  })
}
