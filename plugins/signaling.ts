// plugins/signaling.ts — the signaling protocol on its WebSocket routes.
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { DeliveryWindow } from '../src/mailbox/delivery.ts'
import { FailedProofs } from '../src/session/failed-proofs.ts'
import type { SessionLimits } from '../src/session/session.ts'
import { Turns } from '../src/session/turns.ts'
import { createSignaling } from '../src/signaling/protocol.ts'
import { IdentityCache } from '../src/store/identity-cache.ts'

export interface SignalingOptions {
  readonly limits: SessionLimits
  readonly window: DeliveryWindow
  readonly identityIdleDays: number
  readonly quotaPerSender: number
  readonly failedProofsPerMinute: number
  /** Origins a browser may connect from; undefined: any. */
  readonly allowedOrigins: ReadonlySet<string> | undefined
  readonly now: () => number
}

const UPGRADE_HINT = {
  error: 'Upgrade Required',
  message: 'This is a WebSocket endpoint of demos-relay (signaling protocol). Connect with a WebSocket client.'
}

export default fp<SignalingOptions>(
  async (app, options) => {
    const { limits, window, identityIdleDays, quotaPerSender, allowedOrigins, now } = options
    const { database, mailbox, presence, proofs, sessions, metrics, log } = app
    const protocol = createSignaling({
      ...{ database, mailbox, presence, proofs, log, window, identityIdleDays, quotaPerSender },
      failedProofs: new FailedProofs(options.failedProofsPerMinute),
      failedRegistrations: limits.failedRegistrations,
      identities: new IdentityCache(database, now),
      turns: new Turns()
    })
    const hooks = {
      mailbox,
      limits,
      frameReceived: (name: string, bytes: number) => {
        metrics.framesReceived.inc({ protocol: name })
        metrics.frameBytes.inc({ protocol: name }, bytes)
      },
      frameRefused: (name: string, code: string) => metrics.framesRefused.inc({ protocol: name, code }),
      failed: (error: unknown) => log.error({ err: error }, 'frame not handled')
    }
    const admit = async (request: FastifyRequest, reply: FastifyReply) => {
      if (!request.ws) return
      const { origin } = request.headers
      if (origin !== undefined && allowedOrigins !== undefined && !allowedOrigins.has(origin)) {
        return reply.code(403).send({ error: 'Forbidden', message: 'This origin may not connect.' })
      }
      const status = sessions.refusal(request.ip)
      if (status === undefined) return
      const message =
        status === 503
          ? 'The server takes no further connection now.'
          : 'Too many connections that have not registered.'
      return reply.code(status).header('retry-after', '5').send({ error: 'Try Again Later', message })
    }
    for (const url of ['/', '/signaling']) {
      app.route({
        method: 'GET',
        url,
        preValidation: admit,
        handler: (_request, reply) => reply.code(426).headers({ upgrade: 'websocket' }).send(UPGRADE_HINT),
        wsHandler: (socket, request) => {
          sessions.open(socket, request.raw.socket, request.ip, protocol, hooks)
        }
      })
    }
  },
  {
    name: 'signaling',
    fastify: '5.x',
    encapsulate: true,
    dependencies: ['database', 'metrics', 'presence', 'offline-queue', 'proof-verification']
  }
)
