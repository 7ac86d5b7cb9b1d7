// plugins/presence.ts: who is connected to this process, and every open socket.
import { EventEmitter } from 'node:events'
import type { Server } from 'node:http'
import websocket, { type WebsocketPluginOptions } from '@fastify/websocket'
import fp from 'fastify-plugin'
import WebSocket from 'ws'
import type { Member } from '../src/delivery/member.ts'
import { sumUpSessions } from '../src/delivery/session-stats.ts'
import { labelOf, PROTOCOLS } from '../src/observability/metrics/catalogue.ts'
import type { RelayMetrics } from '../src/observability/metrics.ts'
import { Registry } from '../src/presence/registry.ts'
import { LIBRARY_CLOSE } from '../src/protocol/close-codes.ts'
import { MAX_SOCKET_FRAME_BYTES } from '../src/protocol/frame.ts'
import type { Session } from '../src/session/session.ts'
import { Sessions, type SessionsLimits } from '../src/session/sessions.ts'

declare module 'fastify' {
  interface FastifyInstance {
    presence: Registry<Member>
    sessions: Sessions<Member>
    /** Emits `upgrade` for every WebSocket handshake of any listener. */
    handshakes: EventEmitter
  }
}

/** How long the closing handshake of a socket may take, in ms. */
const CLOSE_HANDSHAKE_MS = 2_000

export interface PresenceOptions extends SessionsLimits {
  /** Are there other relays over the same database? */
  readonly isAlone: boolean
  /** Peers in a network above which only contacts are told who joined and left. */
  readonly fanOutPeers: number
}

export default fp<PresenceOptions>(
  async (app, { isAlone, fanOutPeers, ...limits }) => {
    const presence = new Registry<Member>({ isAlone, fanOutPeers })
    const sessions = new Sessions<Member>(limits, countClosed(app.metrics))
    app.decorate('presence', presence)
    app.decorate('sessions', sessions)
    showSessions(app.metrics, sessions)
    const handshakes = new EventEmitter()
    app.decorate('handshakes', handshakes)
    app.metrics.connectionsLimit.at().value = limits.connections
    await app.register(websocket, {
      options: {
        server: handshakes as Server,
        maxPayload: MAX_SOCKET_FRAME_BYTES, // larger: 1009, by the WebSocket layer
        WebSocket: ExplainedSocket as unknown as SocketClass,
        perMessageDeflate: false, // sealed bodies do not compress, and compressing holds memory for each socket
        ...{ closeTimeout: CLOSE_HANDSHAKE_MS } // newer than the types of ws
      },
      // The WebSocket layer has answered with a close frame already; a peer's broken frame is no news for an operator.
      errorHandler: (error) => app.log.debug({ err: error }, 'socket failed'),
      preClose: async () => {}
    })
    app.addHook('onClose', async () => {
      presence.close()
      sessions.clock.close()
    })
  },
  { name: 'presence', fastify: '5.x', dependencies: ['metrics'] }
)

/** The class as the plugin sees it, which reads the types of the library's other module format. */
type SocketClass = NonNullable<WebsocketPluginOptions['options']>['WebSocket']

/** Says why it is closed, also where the library does it by itself, for a broken frame. */
class ExplainedSocket extends WebSocket {
  override close(code?: number, reason: string | Buffer | undefined = LIBRARY_CLOSE[code ?? 0]): void {
    super.close(code, reason)
  }
}

function countClosed({ socketsClosed }: RelayMetrics) {
  const closed = {
    signaling: socketsClosed.by('reason', { protocol: 'signaling' }),
    l2ps: socketsClosed.by('reason', { protocol: 'l2ps' })
  }
  return ({ protocol, closeReason }: Session<Member>, isClean: boolean) =>
    closed[protocol.name][labelOf(closeReason ?? (isClean ? 'peer' : 'lost'))]!.inc()
}

function showSessions(metrics: RelayMetrics, sessions: Sessions<Member>): void {
  metrics.onRead(() => {
    const stats = sumUpSessions(sessions.all(), sessions.clock.now)
    metrics.handshakesWaiting.at().value = sessions.waiting
    metrics.noisyLimit.at().value = sessions.noisyLimit
    for (const protocol of PROTOCOLS) {
      const { sockets, registered, windowMessages, windowBytes, stalledMs } = stats[protocol]
      metrics.sockets.at({ protocol }).value = sockets
      metrics.sessions.at({ protocol }).value = registered
      metrics.windowMessages.at({ protocol }).value = windowMessages
      metrics.windowBytes.at({ protocol }).value = windowBytes
      metrics.deliveryStalled.at({ protocol }).value = stalledMs / 1_000
    }
  })
}
