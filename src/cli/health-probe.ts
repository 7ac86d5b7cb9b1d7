import { get as getPlain } from 'node:http'
import { get as getByTls } from 'node:https'
import { signalingPort } from '../config/read.ts'
import type { Config } from '../config/schema.ts'

/** Longest the server may take to answer, in ms. */
const DEADLINE_MS = 2_500

/**
 * Asks the server with these settings, from its own machine, whether it lives. Undefined: it does; else what is wrong.
 * The certificate is not judged: its name is rarely this machine's loopback, and nothing secret is said.
 */
export function checkHealth(config: Config): Promise<string | undefined> {
  const port = signalingPort(config)
  if (port === 0) return Promise.resolve('The port is any free one: set RPC_SIGNALING_PORT to the one it got.')
  const options = {
    host: reachableHost(config.HOST),
    port,
    path: '/health/live',
    timeout: DEADLINE_MS,
    rejectUnauthorized: false
  }
  const get = config.TLS_CERT_FILE === undefined ? getPlain : getByTls
  return new Promise((resolve) => {
    const request = get(options, (response) => {
      response.resume()
      resolve(response.statusCode === 200 ? undefined : `The server answered ${response.statusCode}.`)
    })
    request.on('timeout', () => request.destroy(new Error(`no answer within ${DEADLINE_MS} ms`)))
    request.on('error', ({ message }) => resolve(`No server at port ${port}: ${message}.`))
  })
}

/** "Any address" includes the loopback one. */
function reachableHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  return host === '::' ? '::1' : host
}
