// plugins/admin-listener.ts: the administration on a listener of its own (ADMIN_PORT), so that the public ones do not show it.
import type { Server } from 'node:http'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { createListener } from '../src/http/listener.ts'
import type { Certificate } from '../src/http/tls/certificate.ts'

export interface AdminListener {
  /** The server makes it listen. Undefined: the public listeners serve the administration too. */
  readonly server: Server | undefined
  /** May this request see what is for operators? Says nothing about its token. */
  isOperators(request: FastifyRequest): boolean
}

declare module 'fastify' {
  interface FastifyInstance {
    adminListener: AdminListener
  }
}

export interface AdminListenerOptions {
  readonly isSeparate: boolean
  /** Slowest an HTTP request may arrive, in ms. */
  readonly requestMs: number
  readonly certificate: Certificate | undefined
}

/** Routes for operators, by their patterns: however a path is spelt, Fastify has found its route by now. */
const FOR_OPERATORS = /^\/(admin|console|docs|metrics)(\/|$)/
const FOR_PEERS = /^\/((signaling|l2ps)?|playground(\/.*)?)$/

/** Registered before the routes it guards. */
export default fp<AdminListenerOptions>(
  async (app, { isSeparate, requestMs, certificate }) => {
    if (!isSeparate) {
      app.decorate('adminListener', { server: undefined, isOperators: () => true })
      return
    }
    const connections = new WeakSet<object>()
    // Nobody listens to its `upgrade` event, so Node hands a WebSocket handshake over as a plain request.
    const server = createListener(app.routing, requestMs, certificate?.context)
    server.on(certificate === undefined ? 'connection' : 'secureConnection', (socket) => connections.add(socket))
    app.addHook('onClose', async () => void server.close()) // its connections are ended with those of the other listeners
    const isOperators = ({ raw }: FastifyRequest) => connections.has(raw.socket)
    app.decorate('adminListener', { server, isOperators })
    app.addHook('onRequest', async (request, reply) => {
      const { url } = request.routeOptions
      const isHere = isOperators(request)
      if (isHere && url === '/') return reply.redirect('console/', 302)
      if (isHere ? FOR_PEERS.test(url ?? '') : request.is404 || FOR_OPERATORS.test(url ?? '')) {
        const [path] = request.url.split('?')
        return reply
          .code(404)
          .send({ message: `Route ${request.method}:${path} not found`, error: 'Not Found', statusCode: 404 })
      }
    })
  },
  { name: 'admin-listener', fastify: '5.x' }
)
