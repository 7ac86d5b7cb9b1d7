// plugins/signaling.ts — the signaling protocol.
import fp from 'fastify-plugin'
import { type ReceiptOptions, receiptSettings } from '../src/delivery/receipt-settings.ts'
import { FailedProofs } from '../src/identity/failed-proofs.ts'
import { frameCounter } from '../src/observability/metrics/frame-counter.ts'
import { createSignaling } from '../src/signaling/router.ts'

export interface SignalingOptions {
  readonly receipts: ReceiptOptions
  readonly quotaPerSender: number
  readonly failedProofsPerMinute: number
  readonly failedRegistrations: number
  /** Milliseconds since 1970. */
  readonly now: () => number
}

export default fp<SignalingOptions>(
  async (app, { failedProofsPerMinute, ...options }) => {
    const { database, presence, proofs, identities, claims, nameTurns, log } = app
    const mailbox = app.mailboxes.signaling
    const protocol = createSignaling({
      ...options,
      receipts: receiptSettings('signaling', options.receipts, app.metrics, log),
      countFrame: frameCounter(app.metrics, 'signaling'),
      ...{ database, mailbox, presence, proofs, identities, claims, turns: nameTurns, log },
      failedProofs: new FailedProofs(failedProofsPerMinute)
    })
    app.sockets.serve(protocol, mailbox)
  },
  {
    name: 'signaling',
    fastify: '5.x',
    encapsulate: true,
    dependencies: ['sockets', 'proof-verification', 'identities']
  }
)
