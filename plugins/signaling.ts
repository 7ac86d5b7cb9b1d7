// plugins/signaling.ts: the signaling protocol.
import fp from 'fastify-plugin'
import { FailedProofs } from '../src/identity/failed-proofs.ts'
import { frameCounter } from '../src/observability/metrics.ts'
import { createSignaling } from '../src/signaling/router.ts'

export interface SignalingOptions {
  readonly quotaPerSender: number
  readonly failedProofsPerMinute: number
  readonly failedRegistrations: number
  /** Most peers in one answer to discover. */
  readonly discoverPeers: number
}

export default fp<SignalingOptions>(
  async (app, { failedProofsPerMinute, ...options }) => {
    const { presence, cluster, proofs, identities, identityChanged, registration, nameMutex, log } = app
    const protocol = createSignaling({
      ...options,
      ...{ proofs, identities, identityChanged, registration, nameMutex, log },
      mailbox: app.mailboxes.signaling,
      attachments: app.attachments.signaling,
      peersIn: (network, page) => (cluster ?? presence).page(network, page),
      countFrame: frameCounter(app.metrics, 'signaling'),
      failedProofs: new FailedProofs(failedProofsPerMinute)
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
