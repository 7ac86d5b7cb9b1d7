// plugins/security-headers.ts: headers that every HTTP answer has for browsers.
import helmet from '@fastify/helmet'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'

/** How long a browser that came by TLS keeps to it, in seconds. */
const TLS_ONLY_SECONDS = 31_536_000

/** Registered first, so that every route has them. A page says itself, in its own answer, what else it may load. */
export default fp(
  async (app) => {
    await app.register(helmet, {
      global: false,
      contentSecurityPolicy: {
        useDefaults: false,
        directives: {
          defaultSrc: ["'none'"],
          baseUri: ["'none'"],
          formAction: ["'none'"],
          frameAncestors: ["'none'"]
        }
      },
      frameguard: { action: 'deny' },
      referrerPolicy: { policy: 'no-referrer' },
      hsts: false,
      crossOriginOpenerPolicy: false,
      originAgentCluster: false
    })
    // A socket that is let in is never given an HTTP answer; one that is refused is, when it is sent.
    app.addHook('onRequest', async (request, reply) => {
      if (!isUpgrade(request)) await reply.helmet()
    })
    app.addHook('onSend', async (request, reply) => {
      if (isUpgrade(request)) await reply.helmet()
    })
    app.addHook('onRequest', async (request, reply) => {
      if (request.protocol !== 'https') return // over plain HTTP browsers ignore both, and complain of the second
      reply.headers({
        'strict-transport-security': `max-age=${TLS_ONLY_SECONDS}`,
        'cross-origin-opener-policy': 'same-origin'
      })
    })
  },
  { name: 'security-headers', fastify: '5.x' }
)

const isUpgrade = ({ headers }: FastifyRequest) => headers.upgrade !== undefined
