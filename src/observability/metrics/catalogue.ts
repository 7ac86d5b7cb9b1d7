// Every metric of this server, declared once. Base units (seconds, bytes), `_total` on counters only, no ids in labels.

import { PROOF_ALGORITHMS } from '../../crypto/algorithms.ts'
import { CLOSE, type CloseReason } from '../../protocol/close-codes.ts'
import { L2PS_ERRORS, type L2psErrorCode, SIGNALING_ERRORS, type SignalingErrorType } from '../../protocol/errors.ts'
import { PROTOCOLS as FRAMES } from '../../protocol/frames.ts'
import { VERSION } from '../../util/package-root.ts'
import type { LabelLists, MetricSpec } from './metric.ts'

export const PROTOCOLS = ['signaling', 'l2ps'] as const
export type ProtocolName = (typeof PROTOCOLS)[number]

/** Stands for a frame type that is missing or not one of the protocol's. */
export const UNKNOWN_TYPE = 'unknown'
const FRAME_TYPES = [
  ...new Set(FRAMES.flatMap(({ clientFrames }) => clientFrames.map(({ frame }) => frame.type))),
  UNKNOWN_TYPE
]
const ERROR_CODES = [...new Set([...Object.keys(SIGNALING_ERRORS), ...Object.keys(L2PS_ERRORS)])] as (
  | SignalingErrorType
  | L2psErrorCode
)[]
/** Values of labels are in lower case, their words joined by `_`; error codes are as the protocol has them. */
export const labelOf = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
const CLOSE_REASONS = [...(Object.keys(CLOSE) as CloseReason[]).map(labelOf), 'peer', 'lost']
const ALGORITHMS = PROOF_ALGORITHMS.map(({ name }) => name)

/** Buckets of durations: from a commit on a fast disk to the longest wait for the database. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
/** Buckets of deliveries: a message may wait until a connection recovers. */
const LONG_SECONDS = [...SECONDS, 60, 600]
const GROUP_SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]

/** Labels of a metric that has none. */
type None = Record<never, never>
const protocol = PROTOCOLS

const counter = <const L extends LabelLists = None>(name: string, help: string, labels = {} as L) =>
  ({ kind: 'counter', name, help, labels }) satisfies MetricSpec<L>
const gauge = <const L extends LabelLists = None>(name: string, help: string, labels = {} as L) =>
  ({ kind: 'gauge', name, help, labels }) satisfies MetricSpec<L>
const histogram = <const L extends LabelLists>(name: string, help: string, labels: L, buckets: readonly number[]) =>
  ({ kind: 'histogram', name, help, labels, buckets }) satisfies MetricSpec<L>

const server = {
  buildInfo: gauge('demos_relay_build_info', 'Always 1; the version is a label.', { version: [VERSION] }),
  ready: gauge(
    'demos_relay_ready',
    '1: every part was fine at the last poll, some seconds ago; 0: not. As /health/ready.'
  ),
  tlsCertificateExpiry: gauge(
    'demos_relay_tls_certificate_expiry_timestamp_seconds',
    'When the served certificate expires, in seconds since 1970; not shown without TLS.'
  ),
  eventLoopLagP50: gauge('demos_relay_event_loop_lag_p50_seconds', 'How late the event loop was, median over 10 s.'),
  eventLoopLagP99: gauge(
    'demos_relay_event_loop_lag_p99_seconds',
    'How late the event loop was, 99th percentile over 10 s.'
  ),
  eventLoopLagMax: gauge('demos_relay_event_loop_lag_max_seconds', 'How late the event loop was, at most, over 10 s.'),
  eventLoopUtilization: gauge('demos_relay_event_loop_utilization_ratio', 'Share of 10 s the event loop was at work.')
}

const sockets = {
  sockets: gauge('demos_relay_sockets', 'Open sockets, registered or not.', { protocol }),
  sessions: gauge('demos_relay_sessions', 'Sockets that speak for a peer.', { protocol }),
  connectionsLimit: gauge('demos_relay_connections_limit', 'Sockets that may be open at once (MAX_CONNECTIONS).'),
  handshakesWaiting: gauge(
    'demos_relay_handshakes_waiting',
    'Handshakes that wait for their turn, because many came at once.'
  ),
  socketsRefused: counter('demos_relay_sockets_refused_total', 'Connections refused before they became a socket.', {
    reason: ['origin', 'unregistered', 'address', 'full', 'busy', 'connection']
  }),
  socketsSlowed: counter(
    'demos_relay_sockets_slowed_total',
    'Times a socket was read more slowly because a budget was used up: its own, or one shared with its address, identity or network.',
    { protocol, budget: ['own', 'shared'] }
  ),
  noisyLimit: gauge(
    'demos_relay_noisy_limit_cores',
    'What sockets that ask for much may use of a core together, while quiet ones wait too long for answers; 10: no limit.'
  ),
  socketsClosed: counter(
    'demos_relay_sockets_closed_total',
    'Closed sockets, by our reason to close them; peer: the peer closed it; lost: no close frame came.',
    { protocol, reason: CLOSE_REASONS }
  ),
  proxyPongs: counter(
    'demos_relay_proxy_pongs_total',
    'Sessions whose pings a proxy answers, so that their pongs are no receipts.',
    { protocol }
  )
}

const frames = {
  framesReceived: counter('demos_relay_frames_received_total', 'Frames received from sockets, by type.', {
    protocol,
    type: FRAME_TYPES
  }),
  frameBytes: counter('demos_relay_frames_received_bytes_total', 'Bytes of the frames received from sockets.', {
    protocol
  }),
  framesRefused: counter('demos_relay_frames_refused_total', 'Frames answered with an error, by its code.', {
    protocol,
    code: ERROR_CODES
  })
}

const messages = {
  accepted: counter(
    'demos_relay_messages_accepted_total',
    'Messages accepted, exact repeats too; live: the recipient was connected.',
    { protocol, route: ['live', 'queued'] }
  ),
  rejected: counter('demos_relay_messages_rejected_total', 'Messages that were not accepted, by reason.', {
    protocol,
    reason: ['duplicate', 'quota', 'recipient_full', 'daily_bytes', 'busy', 'unavailable']
  }),
  delivered: counter('demos_relay_messages_delivered_total', 'Messages received, by the strength of the receipt.', {
    protocol,
    receipt: ['ack', 'pong', 'none']
  }),
  redelivered: counter(
    'demos_relay_messages_redelivered_total',
    'Messages sent again, since the session they were sent to before ended without a receipt. Only of this process.',
    { protocol }
  ),
  expired: counter('demos_relay_messages_expired_total', 'Messages that were not received before they expired.'),
  acceptSeconds: histogram(
    'demos_relay_message_accept_seconds',
    'From a message handed to its mailbox to the end of its commit, successful or not.',
    { protocol },
    SECONDS
  ),
  deliverySeconds: histogram(
    'demos_relay_message_delivery_seconds',
    'From a message accepted to its receipt, where the recipient was connected when it was accepted.',
    { protocol },
    LONG_SECONDS
  ),
  receiptSeconds: histogram(
    'demos_relay_receipt_seconds',
    "From a ping behind messages to its pong: the way to the recipient's end and back.",
    { protocol },
    SECONDS
  )
}

const cluster = {
  clusterRelays: gauge('demos_relay_cluster_relays', 'Relays of the cluster whose leases hold, as this one sees it.'),
  clusterBus: gauge('demos_relay_cluster_bus_connected', '1: other relays can be told at once; 0: only by Postgres.'),
  clusterLease: gauge('demos_relay_cluster_lease_holds', "1: this relay's lease holds; 0: its peers count as away."),
  clusterHandedOver: counter('demos_relay_cluster_handed_over_total', 'Messages handed to other relays.'),
  clusterTaken: counter('demos_relay_cluster_taken_total', 'Messages that other relays handed over.'),
  clusterMisses: counter(
    'demos_relay_cluster_misses_total',
    'Hand-overs that were missed, and connections of the bus.'
  ),
  clusterLooks: counter('demos_relay_cluster_looks_total', 'Looks into all mailboxes of connected peers.'),
  clusterSharedWaiting: gauge(
    'demos_relay_cluster_shared_waiting',
    "Received messages that wait for another relay's receipt: their recipients have sessions there."
  )
}

const mailboxes = {
  queueEntries: gauge('demos_relay_queue_entries', 'Messages waiting in mailboxes, at the last poll.', { protocol }),
  queueBytes: gauge('demos_relay_queue_bytes', 'Bytes of the bodies of waiting messages, at the last poll.', {
    protocol
  }),
  queueOldestAge: gauge(
    'demos_relay_queue_oldest_entry_age_seconds',
    'Age of the oldest waiting message; 0: no message waits.',
    {
      protocol
    }
  ),
  queueFiguresAge: gauge('demos_relay_queue_figures_age_seconds', 'How long ago the mailboxes were polled.'),
  windowMessages: gauge('demos_relay_window_messages', 'Messages sent to sessions and not receipted yet.', {
    protocol
  }),
  windowBytes: gauge('demos_relay_window_bytes', 'Bytes of the bodies sent to sessions and not receipted yet.', {
    protocol
  }),
  deliveryStalled: gauge(
    'demos_relay_delivery_stalled_seconds',
    'Longest time that a connected recipient with waiting messages has received nothing.',
    { protocol }
  ),
  commitWaiting: gauge('demos_relay_commit_waiting_messages', 'Messages waiting for a group commit.', { protocol }),
  commitGroup: histogram(
    'demos_relay_commit_group_messages',
    'Messages in one group commit.',
    { protocol },
    GROUP_SIZES
  ),
  commitSeconds: histogram('demos_relay_commit_seconds', 'Duration of one group commit.', { protocol }, SECONDS),
  databaseConnections: gauge('demos_relay_database_connections', 'Open connections to PostgreSQL.'),
  databaseUnanswered: counter('demos_relay_database_unanswered_total', 'Queries without an answer in time.'),
  databaseBytes: gauge(
    'demos_relay_database_bytes',
    'What the database takes on the disk of its server: tables and indexes, at the last poll.'
  ),
  dataFree: gauge(
    'demos_relay_data_directory_free_bytes',
    'Free room on the file system of DATA_DIR, where the embedded database is, too; at the last poll.'
  ),
  dataTotal: gauge('demos_relay_data_directory_total_bytes', 'Used and free room on that file system.'),
  databaseOldestSnapshot: gauge(
    'demos_relay_database_oldest_snapshot_seconds',
    'Age of the oldest transaction, of anybody, that keeps deleted rows from being cleared away. 0: none, or the role may not see others (grant pg_monitor).'
  )
}

const proofs = {
  proofs: counter('demos_relay_proofs_total', 'Proofs checked; busy: not checked in time, or not at all.', {
    algorithm: ALGORITHMS,
    result: ['valid', 'invalid', 'busy']
  }),
  proofSeconds: histogram(
    'demos_relay_proof_seconds',
    'From a proof handed to the verifier to its result, including the wait for a worker.',
    { algorithm: ALGORITHMS },
    SECONDS
  ),
  proofsUnderWay: gauge('demos_relay_proofs_under_way', 'Proofs being checked, or waiting for a worker.', {
    algorithm: ALGORITHMS
  })
}

const audit = {
  auditLogRecords: gauge('demos_relay_audit_log_records', 'Records in all logs, at the last poll.'),
  auditWaiting: gauge(
    'demos_relay_audit_waiting_events',
    'Events that wait for their place in a log, at the last poll.'
  ),
  auditRecords: counter('demos_relay_audit_records_total', 'Records this server integrated.'),
  auditIntegrationLag: gauge('demos_relay_audit_integration_lag_seconds', 'Age of the oldest event of the last batch.'),
  auditHaltedLogs: gauge('demos_relay_audit_halted_logs', 'Logs that wait for an operator.'),
  auditCheckpointAge: gauge(
    'demos_relay_audit_checkpoint_age_seconds',
    'How long a log has had records without a checkpoint that covers them: the longest of all logs; 0: no log has.'
  ),
  auditAnchorLag: gauge(
    'demos_relay_audit_anchor_lag_seconds',
    'How long the anchoring of a checkpoint has been due: the longest of all logs; 0: none is due.'
  ),
  auditAnchorFailures: counter(
    'demos_relay_audit_anchor_failures_total',
    'Attempts to anchor a checkpoint that failed.'
  )
}

/** Under the names that every exporter gives them. */
const ofProcess = {
  cpuSeconds: counter('process_cpu_seconds_total', 'Processor time, user and system.'),
  residentMemory: gauge('process_resident_memory_bytes', 'Resident memory.'),
  openFds: gauge('process_open_fds', 'Open file descriptors, at the last poll; where the system tells it.'),
  maxFds: gauge('process_max_fds', 'Most file descriptors that may be open; where the system tells it.'),
  startTime: gauge('process_start_time_seconds', 'When the process started, in seconds since 1970.'),
  heapUsed: gauge('nodejs_heap_size_used_bytes', 'Heap of the JavaScript engine in use.'),
  heapTotal: gauge('nodejs_heap_size_total_bytes', 'Heap of the JavaScript engine.'),
  externalMemory: gauge('nodejs_external_memory_bytes', 'Memory outside the heap that JavaScript objects hold.')
}

export const METRICS = {
  ...{ ...server, ...sockets, ...frames, ...messages },
  ...{ ...cluster, ...mailboxes, ...proofs, ...audit, ...ofProcess }
}

/** For the documentation. */
export const METRIC_SECTIONS: readonly (readonly [title: string, metrics: Readonly<Record<string, MetricSpec>>])[] = [
  ['Server', server],
  ['Sockets and sessions', sockets],
  ['Frames', frames],
  ['Messages', messages],
  ['Mailboxes and database', mailboxes],
  ['Cluster', cluster],
  ['Proofs', proofs],
  ['Audit trail', audit],
  ['Process', ofProcess]
]
