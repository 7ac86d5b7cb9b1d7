// plugins/l2ps.ts: the L2PS messaging protocol.
import fp from 'fastify-plugin'
import { batched, lookUps } from '../src/database/batched.ts'
import type { Member } from '../src/delivery/member.ts'
import { FailedProofs } from '../src/identity/failed-proofs.ts'
import { KeyNames } from '../src/l2ps/key-names.ts'
import type { L2psMember } from '../src/l2ps/l2ps-member.ts'
import { admits } from '../src/l2ps/register.ts'
import { createL2ps } from '../src/l2ps/router.ts'
import { ShownProofs } from '../src/l2ps/shown-proofs.ts'
import { frameCounter } from '../src/observability/metrics.ts'
import type { PageOfPeers } from '../src/presence/names.ts'
import type { SessionProtocol } from '../src/session/session.ts'
import { enterKeys, findSigningKeys } from '../src/store/identity.ts'
import { FairQueue } from '../src/util/fair-queue.ts'
import { limitedLog } from '../src/util/limited-log.ts'

export interface L2psOptions {
  readonly proofWindowMs: number
  readonly failedProofsPerMinute: number
  readonly failedRegistrations: number
  /** Most peers in one answer to discover. */
  readonly discoverPeers: number
  /** Milliseconds since 1970. */
  readonly now: () => number
}

/** Pages of history that are read at once, up to 4 MB each, and that wait for their turn. */
const HISTORY_PAGES_AT_ONCE = 2
const HISTORY_PAGES_WAITING = 2_000

export default fp<L2psOptions>(
  async (app, { failedProofsPerMinute, ...options }) => {
    const { database, presence, cluster, proofs, networks } = app
    const log = limitedLog(app.log)
    const names = new KeyNames(
      lookUps({
        ...{ database, find: findSigningKeys },
        failed: (error, keys) => log.warn({ err: error, keys }, 'signing keys not looked up')
      })
    )
    const peersInCluster = async (network: string, page: PageOfPeers) => {
      const found = await cluster!.page(network, page)
      await names.learn(network, found.peers) // a long key is shown as it is
      return found
    }
    const protocol = createL2ps({
      ...options,
      ...{ database, proofs, networks, log },
      mailbox: app.mailboxes.l2ps,
      attachments: app.attachments.l2ps,
      peersIn: cluster === undefined ? (network, page) => presence.page(network, page) : peersInCluster,
      countFrame: frameCounter(app.metrics, 'l2ps'),
      enter: batched({
        ...{ database, work: enterKeys },
        failed: (error, keys) => log.error({ err: error, keys }, 'keys not noted')
      }),
      failedProofs: new FailedProofs(failedProofsPerMinute),
      shownProofs: new ShownProofs(2 * options.proofWindowMs),
      historyQueue: new FairQueue(HISTORY_PAGES_AT_ONCE, HISTORY_PAGES_WAITING),
      names
    })
    app.sockets.serve(protocol as unknown as SessionProtocol<Member>)

    // A network was disabled or removed, or a key is no member now: sessions that may not be in it any more are closed.
    networks.onChange((uid, network) => {
      for (const member of [...presence.sessionsIn(uid)] as L2psMember[]) {
        if (network === undefined || !admits(network, member.key)) member.dismiss('noNetwork')
      }
    })
  },
  {
    name: 'l2ps',
    fastify: '5.x',
    encapsulate: true,
    dependencies: ['sockets', 'offline-queue', 'proof-verification', 'l2ps-registry']
  }
)
