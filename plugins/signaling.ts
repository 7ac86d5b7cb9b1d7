// plugins/signaling.ts — the signaling protocol.
import fp from 'fastify-plugin'
import { FailedProofs } from '../src/session/failed-proofs.ts'
import { type ReceiptOptions, receiptSettings } from '../src/session/receipt-settings.ts'
import { Turns } from '../src/session/turns.ts'
import { createSignaling } from '../src/signaling/protocol.ts'
import { IdentityCache } from '../src/store/identity-cache.ts'

export interface SignalingOptions {
  readonly receipts: ReceiptOptions
  readonly identityIdleDays: number
  readonly quotaPerSender: number
  readonly failedProofsPerMinute: number
  readonly failedRegistrations: number
  /** Milliseconds since 1970. */
  readonly now: () => number
}

export default fp<SignalingOptions>(
  async (app, { failedProofsPerMinute, now, ...options }) => {
    const { database, presence, proofs, log } = app
    const mailbox = app.mailboxes.signaling
    const protocol = createSignaling({
      ...options,
      receipts: receiptSettings('signaling', options.receipts, app.metrics, log),
      ...{ database, mailbox, presence, proofs, log },
      failedProofs: new FailedProofs(failedProofsPerMinute),
      identities: new IdentityCache(database, now),
      turns: new Turns()
    })
    app.sockets.serve(protocol, mailbox)
  },
  { name: 'signaling', fastify: '5.x', encapsulate: true, dependencies: ['sockets', 'proof-verification'] }
)
