// Debian's Chromium, headless: one for a whole run, in which every test has windows (contexts) of its own.
import { type Browser, type BrowserServer, chromium } from 'playwright-core'
import { findProgram } from './programs.ts'

/** Environment variable by which `npm test` hands its browser to the test files. */
export const BROWSER_URL = 'DEMOS_RELAY_TEST_BROWSER'
/** A name for this machine by which a browser does not know it. */
export const ELSEWHERE = 'relay.test'
const ARGS = [
  ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
  ...['--disable-component-update', '--disable-sync', `--host-resolver-rules=MAP ${ELSEWHERE} 127.0.0.1`]
]
/** Files whose tests look at pages. */
const USERS = /^test\/(console\/|docs\/pages|client\/package|examples\/|playground\/)/

/** The browser of a run; undefined: no file wants one, or there is none. */
export async function startBrowser(files: readonly string[]): Promise<BrowserServer | undefined> {
  const executablePath = findProgram('chromium')
  if (executablePath === undefined || !files.some((file) => USERS.test(file))) return undefined
  const signals = { handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false } // the run ends it
  return chromium.launchServer({ executablePath, args: ARGS, host: '127.0.0.1', ...signals })
}

let connection: Promise<Browser> | undefined

/** The browser of this run; a file that used it ends with `after(closeBrowser)`. */
export function connectBrowser(): Promise<Browser> {
  const url = process.env[BROWSER_URL]
  if (url === undefined) throw new Error('chromium is not installed')
  connection ??= chromium.connect(url)
  return connection
}

/** Ends this file's connection, and with it all its windows. */
export async function closeBrowser(): Promise<void> {
  await (await connection)?.close()
  connection = undefined
}
