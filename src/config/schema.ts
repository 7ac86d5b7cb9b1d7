import { FormatRegistry, type Static, type TLiteral, type TSchema, Type } from '@sinclair/typebox'
import { ORIGINS, originsIn } from './origins.ts'
import { TRUSTED_PROXIES, trustedProxies } from './trusted-proxies.ts'

FormatRegistry.Set('trusted-proxies', (text) => trustedProxies(text) !== undefined)
FormatRegistry.Set('origins', (text) => originsIn(text) !== undefined)

/** A TCP port a door listens on; 0 asks the system for any free one. */
const Port = (description: string, value?: number) =>
  Type.Integer({ minimum: 0, maximum: 65_535, description, ...(value === undefined ? {} : { default: value }) })

const Count = (description: string, value: number, minimum = 1) =>
  Type.Integer({ minimum, maximum: 2_147_483_647, description, default: value })

const Text = (description: string, value?: string) =>
  Type.String({ minLength: 1, description, ...(value === undefined ? {} : { default: value }) })

/** Optional settings are unset unless the environment names them. */
const optional = <T extends TSchema>(schema: T) => Type.Optional(schema)

/**
 * Every setting of the server, once. The type, the check at start, `--help`, `.env.example` and the README's table
 * all derive from it; a section is a heading in each of them. Units are part of the names.
 */
export const SECTIONS = {
  Doors: {
    HOST: Text('Address to listen on.', '127.0.0.1'),
    RPC_SIGNALING_PORT: optional(
      Port('Signaling port. If taken, the next free port is used. Wins over SIGNALING_SERVER_PORT.')
    ),
    SIGNALING_SERVER_PORT: Port('Signaling port when RPC_SIGNALING_PORT is unset.', 3005),
    TRUST_PROXY: Type.String({
      format: 'trusted-proxies',
      allowed: TRUSTED_PROXIES,
      description:
        'Take the peer address from X-Forwarded-For, for doors that only your proxies reach. true: behind one proxy. A number: behind so many. Addresses (10.0.0.7, 10.1.0.0/16, loopback), comma-separated: only what comes from these is believed.',
      default: 'false'
    }),
    ALLOWED_ORIGINS: optional(
      Type.String({
        format: 'origins',
        allowed: ORIGINS,
        description:
          'Comma-separated origins browsers may connect from. Unset: any. Clients that send no Origin are not affected.'
      })
    ),
    TLS_CERT_FILE: optional(
      Text(
        'Certificate of the doors (PEM, followed by those that lead to its authority). Unset: they speak without TLS.'
      )
    ),
    TLS_KEY_FILE: optional(Text("The certificate's key (PEM). Both files are read again when they change.")),
    SHUTDOWN_GRACE_SECONDS: Type.Integer({
      minimum: 1,
      maximum: 60,
      description: 'How long a stop waits for writes and for sockets to close; the database gets up to 5 s after it.',
      default: 5
    })
  },
  Database: {
    DATABASE_URL: optional(
      Type.String({
        pattern: '^postgres(ql)?://',
        description: 'PostgreSQL to use. Unset: an embedded PostgreSQL under DATA_DIR.',
        secret: true
      })
    ),
    DATA_DIR: Text('Directory for the embedded database and keys.', './data'),
    DATABASE_POOL_SIZE: Type.Integer({
      minimum: 2,
      maximum: 100,
      description: 'Connections to PostgreSQL.',
      default: 8
    }),
    DATABASE_DEADLINE_MS: Count('Longest a peer waits for the database before it is told so.', 5_000, 100)
  },
  Signaling: {
    SIGNALING_QUOTA_PER_SENDER: Count('Messages one sender may have waiting for peers that are away.', 100),
    IDENTITY_IDLE_DAYS: Count('Days after which an unused client id with an empty mailbox is free again.', 30)
  },
  L2PS: {
    L2PS_MESSAGING_ENABLED: Type.Boolean({ description: 'Serve L2PS messaging.', default: true }),
    L2PS_MESSAGING_PORT: Port('L2PS port. If taken, the next free port is used.', 3006),
    L2PS_DIR: optional(Text('Directory of the network configurations. Unset: l2ps in DATA_DIR.')),
    L2PS_QUOTA_PER_SENDER: Count('Messages one sender may have waiting for peers that are away, in one network.', 200),
    PROOF_WINDOW_SECONDS: Count("How far the timestamp of a proof may be from the server's clock, either way.", 300),
    HISTORY_DAYS: Count('Days a message is kept for history.', 365)
  },
  Mailboxes: {
    QUEUE_TTL_SECONDS: Count('Age at which an undelivered message expires.', 604_800, 1),
    RECIPIENT_QUEUE_MESSAGES: Count('Messages that may wait for one recipient.', 100_000),
    RECIPIENT_QUEUE_BYTES: Count('Bytes that may wait for one recipient.', 268_435_456),
    RECEIPTS: Type.Union(
      ['auto', 'ack', 'pong', 'none'].map((mode) => Type.Literal(mode)) as [
        TLiteral<'auto'>,
        TLiteral<'ack'>,
        TLiteral<'pong'>,
        TLiteral<'none'>
      ],
      {
        description:
          'What counts as received. auto: an ack where the client offers it, else the pong of a ping sent behind the message. none: written to the socket, for peers behind a proxy that answers pings.',
        default: 'auto'
      }
    ),
    RECEIPT_GRACE_SECONDS: Count(
      'How long what a browser received by pong is delivered again should its socket die.',
      10,
      0
    ),
    PONG_DEADLINE_SECONDS: Count('A socket from which nothing comes this long after a ping is closed (4002).', 10),
    STALL_DEADLINE_SECONDS: Count(
      'A socket that receipts nothing this long, though it was sent something, is closed (4002).',
      30
    ),
    WINDOW_MESSAGES: Count(
      'Messages a socket is sent before the first of them is receipted; further ones wait in the database.',
      1_024
    ),
    WINDOW_BYTES: Count('Bytes a socket is sent before the first of them is receipted.', 1_048_576, 1_024)
  },
  Limits: {
    MAX_CONNECTIONS: Count('Sockets open at once; one more is refused with 503.', 20_000),
    MAX_UNREGISTERED_PER_ADDRESS: Count(
      'Sockets of one address that have not registered; one more is refused with 429.',
      2_048
    ),
    REGISTRATION_DEADLINE_SECONDS: Count('A socket that has not registered by then is closed (4001).', 10),
    MAX_FAILED_PROOFS_PER_ADDRESS: Count('Failed proofs per address and minute; past it none is checked.', 1_000),
    MAX_FAILED_REGISTRATIONS_PER_SOCKET: Count('Failed registrations on one socket; the next closes it (1008).', 20),
    MAX_REFUSED_FRAMES_PER_SECOND: Count(
      'Frames of one socket answered with an error; past it the socket is read no further until the second is over.',
      1_000
    ),
    MAX_FRAMES_IN_FLIGHT: Count(
      'Frames of one socket being worked on; past it the socket is read no further until one is done.',
      256
    ),
    PROOF_WORKERS: Type.Integer({
      minimum: 0,
      maximum: 64,
      description:
        'Worker threads that check Falcon proofs, and ML-DSA ones before Node 24.6; 0: one less than the processors, at least one.',
      default: 0
    }),
    PROOF_QUEUE_LENGTH: Count('Proofs that may wait for a worker; one more is refused.', 2_048),
    MAX_WAITING_MESSAGES: Count('Accepted messages that may wait for their commit; one more is refused.', 20_000),
    MAX_WAITING_BYTES: Count('Bytes of accepted messages that may wait for their commit.', 67_108_864),
    HEARTBEAT_SECONDS: Count('A socket that was silent this long is pinged.', 30)
  },
  'Audit trail': {
    NODE_KEY_FILE: optional(
      Text('ed25519 key that signs the logs (PKCS#8 PEM). Unset: node.key in DATA_DIR, made at the first start.')
    ),
    AUDIT_ORIGIN: optional(
      Type.String({
        pattern: '^[!-*,-~]+$',
        description: "First part of every log's name, like relay.example.com/audit. Unset: made from the key."
      })
    ),
    AUDIT_INTERVAL_MS: Type.Integer({
      minimum: 50,
      maximum: 1_000,
      description: 'Rest between two looks for records that wait for their place in the log.',
      default: 500
    }),
    AUDIT_BATCH_EVENTS: Type.Integer({
      minimum: 16,
      maximum: 4_096,
      description: 'Records that get their place at once.',
      default: 512
    }),
    AUDIT_REQUESTS_PER_MINUTE: Count('Requests to /audit one address may make in a minute.', 3_000),
    AUDIT_ANCHOR_SECONDS: Count("A log's anchored checkpoints are at least so far apart.", 60),
    ANCHOR: Type.Union([Type.Literal('log'), Type.Literal('demos-rpc')], {
      description:
        'Where checkpoints are anchored. log: a log of this node. demos-rpc: a Demos chain, which costs DEM.',
      default: 'log'
    }),
    DEMOS_RPC_URL: optional(
      Type.String({ pattern: '^https?://', description: 'Node of the chain, for ANCHOR=demos-rpc.', secret: true })
    ),
    DEMOS_RPC_KEY: optional(
      Type.String({
        pattern: '^(0x)?[0-9a-fA-F]{64}$',
        description: "Account that pays for anchoring: its 32-byte ed25519 seed in hex. Unset: the node key's account.",
        secret: true
      })
    )
  },
  Administration: {
    ADMIN_TOKEN: optional(
      Type.String({
        pattern: '^[!-~]{16,4096}$',
        description:
          'Opens /admin and the records of the audit trail. Unset: admin.token in DATA_DIR, made at the first start.',
        secret: true
      })
    ),
    ADMIN_REQUESTS_PER_MINUTE: Count(
      'Requests to /admin one address may make in a minute, those with a wrong token included.',
      600
    )
  },
  Logging: {
    LOG_LEVEL: Type.Union(
      ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'].map((level) => Type.Literal(level)),
      { description: 'Least important log line that is written.', default: 'info' }
    )
  }
} as const

type Sections = typeof SECTIONS
type Merge<T> = (T extends unknown ? (x: T) => void : never) extends (x: infer U) => void ? U : never

export const ConfigSchema = Type.Object(
  Object.assign({}, ...Object.values(SECTIONS)) as Merge<Sections[keyof Sections]>
)

/** A checked configuration: every default filled in, every value inside its limits. */
export type Config = Static<typeof ConfigSchema>
