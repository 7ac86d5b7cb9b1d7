// plugins/l2ps.ts — the L2PS messaging protocol.
import fp from 'fastify-plugin'
import { grouped } from '../src/database/batcher.ts'
import { type ReceiptOptions, receiptSettings } from '../src/delivery/receipt-settings.ts'
import { FailedProofs } from '../src/identity/failed-proofs.ts'
import type { L2psMember } from '../src/l2ps/context.ts'
import { KeyNames } from '../src/l2ps/key-names.ts'
import { admits } from '../src/l2ps/register.ts'
import { createL2ps } from '../src/l2ps/router.ts'
import { frameCounter } from '../src/observability/metrics/frame-counter.ts'
import { enterKeys } from '../src/store/identity.ts'

export interface L2psOptions {
  readonly receipts: ReceiptOptions
  readonly proofWindowMs: number
  readonly failedProofsPerMinute: number
  readonly failedRegistrations: number
  /** Milliseconds since 1970. */
  readonly now: () => number
}

export default fp<L2psOptions>(
  async (app, { failedProofsPerMinute, ...options }) => {
    const { database, presence, proofs, networks, log } = app
    const mailbox = app.mailboxes.l2ps
    const protocol = createL2ps({
      ...options,
      receipts: receiptSettings('l2ps', options.receipts, app.metrics, log),
      countFrame: frameCounter(app.metrics, 'l2ps'),
      ...{ database, mailbox, presence, proofs, networks, log },
      enter: grouped({
        ...{ database, work: enterKeys },
        failed: (error, keys) => log.error({ err: error, keys }, 'keys not noted')
      }),
      failedProofs: new FailedProofs(failedProofsPerMinute),
      names: new KeyNames(database, presence)
    })
    app.sockets.serve(protocol, mailbox)

    // Who may not be in a network any more is shown out: it was disabled or removed, or the key is no member now.
    networks.onChange((uid, network) => {
      for (const peer of presence.peers(uid)) {
        for (const member of [...presence.members(uid, peer)] as L2psMember[]) {
          if (network === undefined || !admits(network, member.key)) presence.dismiss(member, 'noNetwork')
        }
      }
    })
  },
  {
    name: 'l2ps',
    fastify: '5.x',
    encapsulate: true,
    dependencies: ['sockets', 'proof-verification', 'l2ps-registry']
  }
)
