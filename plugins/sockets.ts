// plugins/sockets.ts — the WebSocket routes: which protocol a socket speaks, and whether it is let in.
import { createServer, type Server } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Mailbox } from '../src/mailbox/mailbox.ts'
import type { SessionLimits, SessionProtocol } from '../src/session/session.ts'
import type { ProtocolHooks } from '../src/session/sessions.ts'

type Name = SessionProtocol['name']

export interface Sockets {
  /** Serves a protocol from now on: on its own path, and at `/` of its door. */
  serve(protocol: SessionProtocol, mailbox: Mailbox): void
  /** The second door: the same routes, but `/` is L2PS. Not listening until somebody makes it. */
  readonly l2psDoor: Server
}

declare module 'fastify' {
  interface FastifyInstance {
    sockets: Sockets
  }
}

export interface SocketsOptions {
  readonly limits: SessionLimits
  /** Origins a browser may connect from; undefined: any. */
  readonly allowedOrigins: ReadonlySet<string> | undefined
  /** Slowest an HTTP request may arrive at the second door, in ms. */
  readonly requestMs: number
}

export default fp<SocketsOptions>(
  async (app, { limits, allowedOrigins, requestMs }) => {
    const { sessions, metrics, log } = app
    const served = new Map<Name, { protocol: SessionProtocol; hooks: ProtocolHooks }>()
    const throughL2psDoor = new WeakSet<object>()

    // One server, two doors: requests of the second take the way of the first.
    const l2psDoor = createServer({ requestTimeout: requestMs, headersTimeout: requestMs }, app.routing)
    l2psDoor.on('connection', (socket) => throughL2psDoor.add(socket))
    l2psDoor.on('upgrade', (request, socket, head) => app.server.emit('upgrade', request, socket, head))
    app.addHook('onClose', async () => {
      l2psDoor.close()
      l2psDoor.closeIdleConnections()
    })

    app.decorate('sockets', {
      l2psDoor,
      serve: (protocol, mailbox) => {
        const { name } = protocol
        const received = metrics.framesReceived.labels(name)
        const bytesReceived = metrics.frameBytes.labels(name)
        served.set(name, {
          protocol,
          hooks: {
            mailbox,
            limits,
            frameReceived: (bytes) => {
              received.inc()
              bytesReceived.inc(bytes)
            },
            frameRefused: (code) => metrics.framesRefused.inc({ protocol: name, code }),
            failed: (error) => log.error({ err: error }, 'frame not handled')
          }
        })
      }
    })

    route('/signaling', () => 'signaling')
    route('/l2ps', () => 'l2ps')
    route('/', (request) => (throughL2psDoor.has(request.raw.socket) ? 'l2ps' : 'signaling'))

    function route(url: string, nameOf: (request: FastifyRequest) => Name): void {
      app.route({
        method: 'GET',
        url,
        preValidation: async (request, reply) => {
          if (!served.has(nameOf(request))) return reply.callNotFound()
          if (request.ws) return letIn(request, reply)
        },
        handler: (request, reply) =>
          reply
            .code(426)
            .headers({ upgrade: 'websocket' })
            .send(upgradeHint(nameOf(request))),
        wsHandler: (socket, request) => {
          const { protocol, hooks } = served.get(nameOf(request))!
          const isBrowser = request.headers.origin !== undefined
          sessions.open(socket, { stream: request.raw.socket, address: request.ip, isBrowser }, protocol, hooks)
        }
      })
    }

    /** Refuses before the upgrade what must not become a socket. */
    async function letIn(request: FastifyRequest, reply: FastifyReply) {
      const { origin } = request.headers
      if (origin !== undefined && allowedOrigins !== undefined && !allowedOrigins.has(origin)) {
        return reply.code(403).send({ error: 'Forbidden', message: 'This origin may not connect.' })
      }
      const status = sessions.refusal(request.ip)
      if (status === undefined) return
      const message =
        status === 503 ? 'The server takes no further connection now.' : 'Too many unregistered connections.'
      return reply.code(status).header('retry-after', '5').send({ error: 'Try Again Later', message })
    }
  },
  { name: 'sockets', fastify: '5.x', dependencies: ['presence', 'metrics', 'offline-queue'] }
)

const upgradeHint = (name: Name) => ({
  error: 'Upgrade Required',
  message: `This is a WebSocket endpoint of demos-relay (${name} protocol). Connect with a WebSocket client.`
})
