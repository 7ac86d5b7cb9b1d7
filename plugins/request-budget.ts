// plugins/request-budget.ts: HTTP requests have a price, so that a flood of them is refused and takes no time from sockets.
import fp from 'fastify-plugin'
import { Accounts } from '../src/limits/accounts.ts'
import { addressKey } from '../src/limits/address.ts'
import { PRICES } from '../src/limits/prices.ts'

export interface RequestBudgetOptions {
  /** Work that the requests of an address may ask for in a second, in microseconds; 0: no limit. */
  readonly perAddress: number
}

/**
 * `/admin` and `/audit` count requests themselves. Who checks the health is never refused: where a proxy stands before
 * everybody, a flood through it must not have the process ended.
 */
const FREE = /^\/(admin|audit|health)(\/|$)/
const SOCKETS = /^\/(signaling|l2ps)?$/

/**
 * Registered before every route. An address has a budget for its requests, apart from that of its sockets, and one more for
 * `/metrics`: nobody but who floods `/metrics` itself keeps Prometheus from reading it.
 */
export default fp<RequestBudgetOptions>(
  async (app, { perAddress }) => {
    const accounts = new Accounts({ socket: 0, address: perAddress, identity: 0, network: 0 })
    app.addHook('onRequest', async ({ headers, ip, routeOptions: { url = '' } }, reply) => {
      const isHandshake = headers.upgrade !== undefined && SOCKETS.test(url)
      if (isHandshake || FREE.test(url)) return
      const budget = accounts.bucket(url === '/metrics' ? 'metrics' : 'requests', addressKey(ip), perAddress)
      const waitMs = budget.waitMs(performance.now())
      if (waitMs === 0) {
        budget.spend(PRICES.request, performance.now())
        // Paid when it is handed over: who does not read an answer pays for it all the same.
        reply.raw.once('prefinish', () => {
          const kilobytes = Number(reply.getHeader('content-length') ?? 0) / 1_024
          budget.spend(PRICES.answered * kilobytes, performance.now())
        })
        return
      }
      const message = 'This address asks for more than it may. Wait as long as Retry-After says.'
      return reply
        .code(429)
        .header('retry-after', Math.ceil(waitMs / 1_000))
        .send({ message, error: 'Too Many Requests', statusCode: 429 })
    })
  },
  { name: 'request-budget', fastify: '5.x' }
)
