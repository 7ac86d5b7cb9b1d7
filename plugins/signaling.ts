// plugins/signaling.ts: the signaling protocol.
import fp from 'fastify-plugin'
import { PublishedLogs } from '../src/audit/published.ts'
import { FailedProofs } from '../src/identity/failed-proofs.ts'
import { frameCounter } from '../src/observability/metrics.ts'
import { Challenges } from '../src/signaling/challenges.ts'
import { createSignaling } from '../src/signaling/router.ts'
import { limitedLog } from '../src/util/limited-log.ts'

export interface SignalingOptions {
  readonly quotaPerSender: number
  readonly failedProofsPerMinute: number
  readonly failedRegistrations: number
  /** Most peers in one answer to discover. */
  readonly discoverPeers: number
  /** The origins by which clients reach this server; undefined: none but those of loopback. */
  readonly publicOrigins: ReadonlySet<string> | undefined
}

export default fp<SignalingOptions>(
  async (app, { failedProofsPerMinute, publicOrigins, ...options }) => {
    const { database, presence, cluster, proofs, identities, identityChanged, registration, nameMutex } = app
    const published = new PublishedLogs(database)
    const protocol = createSignaling({
      ...options,
      deadlineMs: database.deadlineMs,
      ...{ proofs, identities, identityChanged, registration, nameMutex },
      log: limitedLog(app.log),
      mailbox: app.mailboxes.signaling,
      attachments: app.attachments.signaling,
      peersIn: (network, page) => (cluster ?? presence).page(network, page),
      recordsOf: (network, message) => published.recordsOf(network, message),
      countFrame: frameCounter(app.metrics, 'signaling'),
      failedProofs: new FailedProofs(failedProofsPerMinute),
      challenges: new Challenges({ publicOrigins, clock: () => performance.now() })
    })
    app.sockets.serve(protocol)
  },
  {
    name: 'signaling',
    fastify: '5.x',
    encapsulate: true,
    dependencies: ['sockets', 'offline-queue', 'proof-verification', 'identities']
  }
)
