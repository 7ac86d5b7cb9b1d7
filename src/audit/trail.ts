// Puts together the parts of the audit trail that run in a server.
import { randomUUID } from 'node:crypto'
import { type Anchor, AnchorOutbox } from '../anchor/anchor.ts'
import { auditDirectory, nodeKeyFile } from '../config/files.ts'
import type { Database } from '../database/database.ts'
import type { Log } from '../util/log.ts'
import { CheckpointMemory } from './checkpoint-file.ts'
import { LogAnchor } from './log-anchor.ts'
import { loadNodeKey, type NodeIdentity, nodeIdentity } from './node-key.ts'
import { Publisher } from './publisher.ts'
import { Sequencer } from './sequencer.ts'
import { claimLogs } from './signer.ts'

export interface AuditTrailOptions {
  /** Holds `audit/`, the last signed checkpoints, and by default `node.key`. */
  readonly dataDir: string
  /** The node's ed25519 key (PKCS#8 PEM), made when it is not there. Default: `<dataDir>/node.key`. */
  readonly nodeKeyFile: string | undefined
  /** First part of every log's name. Default: `demos-relay.local/<short hash of the key>`. */
  readonly origin: string | undefined
  /** Rest between two polls of the inbox when it is empty, ms. */
  readonly intervalMs: number
  /** Events integrated at once. */
  readonly batchEvents: number
  /** Whether messages wait for the processor: then records give way to them, for at most a minute. Default: never. */
  readonly isBusy?: () => boolean
  /** A log's anchored checkpoints are at least so far apart, ms. */
  readonly anchorIntervalMs: number
  /** Where checkpoints are anchored, and how many at once. Default: a log of the node's own. */
  readonly createAnchor?: (parts: { database: Database; node: NodeIdentity }) => { anchor: Anchor; parallel: number }
  /** Id of this relay in its cluster; default: the relay is alone. */
  readonly relay?: string | undefined
  /** Milliseconds since 1970. */
  readonly now: () => number
}

export interface AuditTrail {
  readonly node: NodeIdentity
  readonly sequencer: Sequencer
  readonly publisher: Publisher
  readonly outbox: AnchorOutbox
  start(): void
  /** Finishes what is under way; what is still in the inbox is for the next start, or for another server. */
  close(): Promise<void>
}

/** Checkpoints in the log of checkpoints cost nothing, so many go at once. */
const LOG_ANCHOR_PARALLEL = 32

/** The key that signs, and what it signs under, without asking the database whether it may. */
export async function openNode(options: Pick<AuditTrailOptions, 'dataDir' | 'nodeKeyFile' | 'origin'>) {
  const key = await loadNodeKey(nodeKeyFile(options.dataDir, options.nodeKeyFile))
  return nodeIdentity(key, options.origin)
}

/** Claims the database's logs for the node's key (see claimLogs), and reads what was signed before. Nothing runs until `start()`. */
export async function openAuditTrail(database: Database, log: Log, options: AuditTrailOptions): Promise<AuditTrail> {
  const { intervalMs, batchEvents, anchorIntervalMs, now } = options
  const node = await claimLogs(database, options)
  const memory = await CheckpointMemory.open(auditDirectory(options.dataDir))
  const publisher = new Publisher({ database, memory, node, now, log })
  const isBusy = options.isBusy ?? (() => false)
  const sequencer = new Sequencer({ database, publisher, intervalMs, batchEvents, isBusy, now, log })
  const { anchor, parallel } = options.createAnchor?.({ database, node }) ?? {
    anchor: new LogAnchor(database, now),
    parallel: LOG_ANCHOR_PARALLEL
  }
  const relay = options.relay ?? randomUUID()
  const outbox = new AnchorOutbox({ database, anchor, parallel, relay, intervalMs: anchorIntervalMs, now, log })
  return {
    ...{ node, sequencer, publisher, outbox },
    start: () => {
      sequencer.start()
      outbox.start()
    },
    close: async () => {
      await outbox.close() // before the sequencer, which an anchor may wait for
      await sequencer.close()
    }
  }
}
