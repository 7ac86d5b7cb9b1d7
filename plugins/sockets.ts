// plugins/sockets.ts: the WebSocket routes: which protocol a socket speaks, and whether it is let in.
import type { Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Type } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { WebSocket } from 'ws'
import type { Member } from '../src/delivery/member.ts'
import { homePage } from '../src/docs/home.ts'
import { PAGE_POLICY } from '../src/docs/markdown.ts'
import { Acceptors } from '../src/http/acceptors.ts'
import { createListener, followConnections } from '../src/http/listener.ts'
import type { Certificate } from '../src/http/tls/certificate.ts'
import { acceptHandshakes } from '../src/http/upgrades.ts'
import { type ConnectionLimits, Connections } from '../src/limits/connections.ts'
import type { Counter } from '../src/observability/metrics/metric.ts'
import type { RelayMetrics } from '../src/observability/metrics.ts'
import { L2PS_ERRORS, type L2psErrorCode, SIGNALING_ERRORS, type SignalingErrorType } from '../src/protocol/errors.ts'
import type { SessionHooks, SessionLimits, SessionProtocol } from '../src/session/session.ts'
import { limitedLog } from '../src/util/limited-log.ts'

type Name = SessionProtocol['name']

export interface Sockets {
  /** Serves a protocol from now on: on its own path, and at `/` of its listener. */
  serve(protocol: SessionProtocol<Member>): void
  /** The second listener: the same routes, but `/` is L2PS. The server makes it listen. */
  readonly l2psListener: Server
  /** Has listeners that listen accept several connections in a turn of the event loop. */
  acceptMore(): void
  /** Lets requests be answered for at most `ms`, then ends every connection of both listeners. */
  endConnections(ms: number): Promise<void>
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
  readonly connections: ConnectionLimits
  /** Slowest an HTTP request may arrive at the second listener, in ms. */
  readonly requestMs: number
  /** The TLS certificate of the second listener; undefined: it speaks without TLS. */
  readonly certificate: Certificate | undefined
}

export default fp<SocketsOptions>(
  async (app, { limits, connections, allowedOrigins, requestMs, certificate }) => {
    const { sessions, metrics, log } = app
    const socketsRefused = metrics.socketsRefused.by('reason', {})
    const served = new Map<Name, { protocol: SessionProtocol<Member>; hooks: SessionHooks<Member> }>()
    const fromL2psListener = new WeakSet<object>()

    // One server, two listeners: Fastify routes the requests of the second like those of the first.
    const l2psListener = createListener(app.routing, requestMs, certificate?.context)
    const connection = certificate === undefined ? 'connection' : 'secureConnection'
    l2psListener.on(connection, (socket) => fromL2psListener.add(socket))
    const listeners = [app.server as Server, l2psListener]
    const { server: adminListener } = app.adminListener
    const followed = [...listeners, ...(adminListener === undefined ? [] : [adminListener])].map(followConnections)
    const accepted = new Connections(connections, () => socketsRefused.connection.inc())
    for (const listener of listeners) accepted.watch(listener)
    for (const listener of listeners) {
      sessions.requests.watch(listener, connection)
      acceptHandshakes(listener, (...handshake) => void app.handshakes.emit('upgrade', ...handshake))
    }
    app.addHook('onRequest', async (request, reply) => {
      if (request.raw.socket.destroyed) return reply.hijack() // who asked is gone: there is no address, nor an answer
    })
    const acceptors = listeners.map((listener) => new Acceptors(listener))
    app.addHook('preClose', async () => {
      for (const each of acceptors) each.close()
    })
    app.addHook('onClose', async () => l2psListener.close())

    /** One for all: the WebSocket layer has answered with a close frame, and a peer's broken frame is no news. */
    const socketFailed = (error: Error) => log.debug({ err: error }, 'socket failed')

    app.decorate('sockets', {
      l2psListener,
      acceptMore: () => {
        for (const [at, each] of acceptors.entries()) if (listeners[at]!.listening) each.start()
      },
      endConnections: async (ms) => {
        await Promise.all(followed.map((each) => each.end(ms)))
      },
      serve: (protocol) => {
        const { name } = protocol
        const limited = limitedLog(log)
        const bytesReceived = metrics.frameBytes.at({ protocol: name })
        const refused = refusalsOf(metrics, name)
        const slowed = metrics.socketsSlowed.by('budget', { protocol: name })
        served.set(name, {
          protocol,
          hooks: sessions.hooksOf({
            limits,
            frameReceived: (bytes) => bytesReceived.inc(bytes),
            slowed: (why) => slowed[why].inc(),
            frameRefused: (code) => refused.get(code)?.inc(),
            failed: (error) => limited.error({ err: error }, 'frame not handled')
          })
        })
      }
    })

    const routes = new Set<string | undefined>()
    route('/signaling', 'WebSocket: the signaling protocol', () => 'signaling')
    route('/l2ps', 'WebSocket: the L2PS messaging protocol', () => 'l2ps')
    route('/', 'WebSocket: the protocol of the listener', (request) =>
      fromL2psListener.has(request.raw.socket) ? 'l2ps' : 'signaling'
    )

    // @fastify/websocket opens a socket on any route, and closes it when it finds no handler.
    app.addHook('preValidation', async (request, reply) => {
      if (request.ws && !routes.has(request.routeOptions.url)) return reply.code(404).send(NO_ENDPOINT)
    })

    function route(url: string, summary: string, nameOf: (request: FastifyRequest) => Name): void {
      routes.add(url)
      app.route({
        method: 'GET',
        url,
        schema: { summary, response: { 403: NoSocket, 426: NoSocket, 429: NoSocket, 503: NoSocket } },
        preValidation: async (request, reply) => {
          if (!served.has(nameOf(request))) return reply.callNotFound()
          if (request.ws) return letIn(request, reply)
        },
        handler: (request, reply) => {
          if (url === '/' && /\btext\/html\b/.test(request.headers.accept ?? '')) {
            const page = homePage(app.adminListener.isOperators(request))
            return reply.type('text/html; charset=utf-8').header('content-security-policy', PAGE_POLICY).send(page)
          }
          return reply
            .code(426)
            .headers({ upgrade: 'websocket' })
            .send(upgradeHint(nameOf(request)))
        },
        wsHandler: (socket, request) => {
          const { protocol, hooks } = served.get(nameOf(request))!
          forgetRequest(socket, request, socketFailed)
          const isBrowser = request.headers.origin !== undefined
          sessions.open(socket, { stream: request.raw.socket, address: request.ip, isBrowser }, protocol, hooks)
        }
      })
    }

    /** Refuses before the upgrade what must not become a socket. */
    async function letIn(request: FastifyRequest, reply: FastifyReply) {
      const { origin } = request.headers
      if (origin !== undefined && allowedOrigins !== undefined && !allowedOrigins.has(origin)) {
        socketsRefused.origin.inc()
        return reply.code(403).send({ error: 'Forbidden', message: 'This origin may not connect.' })
      }
      const retryAfter = await sessions.turn(request.ip)
      const reason = retryAfter === undefined ? sessions.refusal(request.ip) : 'busy'
      if (reason === undefined) return
      socketsRefused[reason].inc()
      const { status, message } = REFUSALS[reason]
      const seconds = retryAfter ?? RETRY_AFTER_SECONDS
      return reply.code(status).header('retry-after', String(seconds)).send({ error: 'Try Again Later', message })
    }
  },
  { name: 'sockets', fastify: '5.x', dependencies: ['admin-listener', 'presence', 'metrics'] }
)

/** The error codes of a protocol, each with its count. */
function refusalsOf({ framesRefused }: RelayMetrics, protocol: Name) {
  const codes = Object.keys(protocol === 'signaling' ? SIGNALING_ERRORS : L2PS_ERRORS) as (
    | SignalingErrorType
    | L2psErrorCode
  )[]
  return new Map<string, Counter>(codes.map((code) => [code, framesRefused.at({ protocol, code })]))
}

const NoSocket = Type.Object({ error: Type.String(), message: Type.String() }, { description: 'No socket, and why.' })

/** Where nothing says when there will be room. */
const RETRY_AFTER_SECONDS = 5

const REFUSALS = {
  busy: { status: 503, message: 'Too many connect at once. Come back after the seconds in Retry-After.' },
  full: { status: 503, message: 'The server takes no further connection now.' },
  address: { status: 429, message: 'Too many connections from this address. Close some first.' },
  unregistered: { status: 429, message: 'Too many unregistered connections.' }
} as const

const NO_ENDPOINT = { error: 'Not Found', message: 'This is no WebSocket endpoint.' }

const upgradeHint = (name: Name) => ({
  error: 'Upgrade Required',
  message: `This is a WebSocket endpoint of demos-relay (${name} protocol). Connect with a WebSocket client.`
})

/**
 * The socket lives for days, and would hold its HTTP request and response all the while: by the listener that
 * @fastify/websocket adds, and by node's note of the response under way. Both are done with: some 4 kB a connection.
 */
function forgetRequest(socket: WebSocket, request: FastifyRequest, failed: (error: Error) => void): void {
  socket.removeAllListeners('error')
  socket.on('error', failed)
  const stream = request.raw.socket as Socket & { _httpMessage?: ServerResponse | null }
  stream._httpMessage?.detachSocket(stream)
}
