// plugins/presence.ts — who is connected to this process, and every open socket.
import websocket from '@fastify/websocket'
import fp from 'fastify-plugin'
import { MAX_SOCKET_FRAME_BYTES } from '../src/protocol/frame.ts'
import { Presence } from '../src/session/presence.ts'
import { Sessions, type SessionsLimits } from '../src/session/sessions.ts'

declare module 'fastify' {
  interface FastifyInstance {
    presence: Presence
    sessions: Sessions
  }
}

/** How long the closing handshake of a socket may take, in ms. */
const CLOSE_HANDSHAKE_MS = 2_000

export default fp<SessionsLimits>(
  async (app, limits) => {
    const presence = new Presence()
    const slow = app.metrics.counter(
      'sessions_unresponsive_total',
      'Sessions closed because they owed an answer for too long.'
    )
    const sessions = new Sessions(presence, limits, () => slow.inc())
    app.decorate('presence', presence)
    app.decorate('sessions', sessions)
    app.metrics.gauge('sessions', 'Registered sessions.', () => presence.size)
    app.metrics.gauge('sockets', 'Open sockets, registered or not.', () => sessions.size)
    await app.register(websocket, {
      options: {
        maxPayload: MAX_SOCKET_FRAME_BYTES, // larger: 1009, by the WebSocket layer
        perMessageDeflate: false, // sealed bodies do not compress, and compressing holds memory for each socket
        ...{ closeTimeout: CLOSE_HANDSHAKE_MS } // newer than the types of ws
      },
      // The WebSocket layer has answered with a close frame already; a peer's broken frame is no news for an operator.
      errorHandler: (error) => app.log.debug({ err: error }, 'socket failed'),
      preClose: async () => {}
    })
    app.addHook('onClose', async () => presence.close())
  },
  { name: 'presence', fastify: '5.x', dependencies: ['metrics'] }
)
