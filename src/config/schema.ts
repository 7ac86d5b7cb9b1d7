import { FormatRegistry, type Static, type TLiteral, type TSchema, Type } from '@sinclair/typebox'
import { ORIGINS, originsIn, SOCKET_ORIGINS, socketOriginsIn } from './origins.ts'
import { TRUSTED_PROXIES, trustedProxies } from './trusted-proxies.ts'

FormatRegistry.Set('trusted-proxies', (text) => trustedProxies(text) !== undefined)
FormatRegistry.Set('origins', (text) => originsIn(text) !== undefined)
FormatRegistry.Set('socket-origins', (text) => socketOriginsIn(text) !== undefined)

/** A TCP port to listen on; 0 asks the system for any free one. */
const Port = (description: string, value?: number) =>
  Type.Integer({ minimum: 0, maximum: 65_535, description, ...(value === undefined ? {} : { default: value }) })

const Count = (description: string, value: number, minimum = 1) =>
  Type.Integer({ minimum, maximum: 2_147_483_647, description, default: value })

const Text = (description: string, value?: string) =>
  Type.String({ minLength: 1, description, ...(value === undefined ? {} : { default: value }) })

/** Optional settings are unset unless the environment names them. */
const optional = <T extends TSchema>(schema: T) => Type.Optional(schema)

/**
 * Every setting of the server. The type, the check at start, `--help`, `.env.example` and `docs/settings.md` are made
 * from it; a section is a heading in each of them. Units are part of the names.
 */
export const SECTIONS = {
  Listeners: {
    HOST: Text('Address to listen on.', '127.0.0.1'),
    RPC_SIGNALING_PORT: optional(
      Port('Signaling port. If taken, the next free port is used. Wins over SIGNALING_SERVER_PORT.')
    ),
    SIGNALING_SERVER_PORT: Port('Signaling port when RPC_SIGNALING_PORT is unset.', 3005),
    STRICT_PORTS: Type.Boolean({
      description: 'Refuse to start when a port is taken, instead of using the next free one.',
      default: false
    }),
    TRUST_PROXY: Type.String({
      format: 'trusted-proxies',
      allowed: TRUSTED_PROXIES,
      description:
        'Take the peer address from X-Forwarded-For, for listeners that only your proxies reach. true: behind one proxy. A number: behind so many. Addresses (10.0.0.7, 10.1.0.0/16, loopback), comma-separated: the header is used only when it comes from one of these.',
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
    PUBLIC_ORIGINS: optional(
      Type.String({
        format: 'socket-origins',
        allowed: SOCKET_ORIGINS,
        description:
          'Comma-separated origins of the URLs that clients connect to, like wss://relay.example: at these the server gives challenges to sign (docs/protocol.md, 2.9). Unset: only to clients on this machine that connect to its listener directly.'
      })
    ),
    TLS_CERT_FILE: optional(
      Text('Certificate of the listeners (PEM, followed by the intermediate certificates). Unset: no TLS.')
    ),
    TLS_KEY_FILE: optional(Text("The certificate's key (PEM). Both files are read again when they change.")),
    PLAYGROUND: optional(
      Type.Boolean({
        description:
          'Serve /playground/, a page on which people try the relay with each other. Unset: if HOST is an address of this machine alone.'
      })
    ),
    SHUTDOWN_GRACE_SECONDS: Type.Integer({
      minimum: 1,
      maximum: 60,
      description: 'How long a stop waits for writes and for sockets to close; the database then gets up to 5 s more.',
      default: 5
    })
  },
  Database: {
    DATABASE_URL: optional(
      Type.String({
        pattern: '^postgres(ql)?://',
        allowed: 'a connection string like postgres://USER:PASSWORD@HOST:5432/DATABASE',
        description:
          'PostgreSQL to use, 15 or newer: a connection string as libpq reads it, with one host or several. Unset: an embedded PostgreSQL under DATA_DIR.',
        secret: true
      })
    ),
    DATABASE_POOLER: optional(
      Type.Union([Type.Literal('session'), Type.Literal('transaction')], {
        description: 'Mode of a pooler (PgBouncer) before the database. Unset: found out at the start.'
      })
    ),
    DATA_DIR: Text('Directory for the embedded database and keys.', './data'),
    DATABASE_POOL_SIZE: Type.Integer({
      minimum: 2,
      maximum: 100,
      description: 'Connections to PostgreSQL.',
      default: 8
    }),
    DATABASE_DEADLINE_MS: Count('Longest time a peer waits for the database before it gets an error.', 5_000, 100)
  },
  Cluster: {
    CLUSTER_NAME: optional(
      Type.String({
        pattern: '^[a-z0-9][a-z0-9-]{0,63}$',
        allowed: 'a name of 1 to 64 lower-case letters, digits and hyphens',
        description:
          'Name of the cluster this relay belongs to: all relays over one database have the same. Unset: the relay is alone, and another one over the same database is refused.'
      })
    ),
    RELAY_NAME: optional(
      Type.String({
        minLength: 1,
        maxLength: 256,
        description: 'What people call this relay. Unset: the name of the host.'
      })
    ),
    NATS_URL: optional(
      Type.String({
        pattern: '^(nats|tls)://[^,\\s]+(,(nats|tls)://[^,\\s]+)*$',
        allowed: 'addresses like nats://host:4222, comma-separated; tls:// asks for TLS',
        description:
          'NATS servers that carry messages between relays. Unset: relays notify each other through PostgreSQL.',
        secret: true
      })
    ),
    NATS_CREDS_FILE: optional(Text('Credentials for NATS, a file as `nsc` makes them.')),
    NATS_CA_FILE: optional(
      Text('Certificate authority of the NATS servers (PEM). Unset: those that the system trusts.')
    )
  },
  Signaling: {
    SIGNALING_QUOTA_PER_SENDER: Count('Messages one sender may have waiting for peers that are away.', 100),
    IDENTITY_IDLE_DAYS: Count(
      'Days after which an unused client id with an empty mailbox may be registered with other keys: whoever does so gets what is sent to it from then on. 0: never.',
      0,
      0
    )
  },
  L2PS: {
    L2PS_MESSAGING_ENABLED: Type.Boolean({ description: 'Serve L2PS messaging.', default: true }),
    // As the Demos node has it: whatever is no port counts as unset.
    L2PS_MESSAGING_PORT: Type.Integer({
      minimum: 0,
      maximum: 65_535,
      fallsBack: true,
      description: 'L2PS port. If taken, the next free port is used.',
      default: 3006
    }),
    L2PS_DIR: optional(Text('Directory of the network configurations. Unset: l2ps in DATA_DIR.')),
    L2PS_QUOTA_PER_SENDER: Count('Messages one sender may have waiting for peers that are away, in one network.', 200),
    PROOF_WINDOW_SECONDS: Count(
      "Largest difference between the timestamp of a proof and the server's clock, in both directions.",
      300
    ),
    HISTORY_DAYS: Count('Days a message is kept for history.', 365)
  },
  Mailboxes: {
    UNUSED_IDENTITY_DAYS: Count(
      'Days after which a name or key is forgotten that was there for less than an hour and exchanged no message with anybody. 0: never.',
      30,
      0
    ),
    QUEUE_TTL_SECONDS: Count('Age at which an undelivered message expires.', 604_800, 1),
    RECIPIENT_QUEUE_MESSAGES: Count('Messages that may wait for one recipient.', 100_000),
    RECIPIENT_QUEUE_BYTES: Count('Bytes that may wait for one recipient.', 268_435_456),
    SENDER_MEGABYTES_PER_DAY: Count(
      'Megabytes of bodies that one sender may have stored in a day, in one network and at one relay, since its start. 0: no limit.',
      50_000,
      0
    ),
    NETWORK_WAITING_MESSAGES: Count(
      'Messages that may wait in all mailboxes of one network together. 0: no limit.',
      0,
      0
    ),
    NETWORK_WAITING_MEGABYTES: Count('The same in megabytes of bodies. 0: no limit.', 0, 0),
    NETWORK_MEGABYTES_PER_DAY: Count('The same of all senders of a network together. 0: no limit.', 0, 0),
    RECEIPTS: Type.Union(
      ['auto', 'ack', 'pong', 'none'].map((mode) => Type.Literal(mode)) as [
        TLiteral<'auto'>,
        TLiteral<'ack'>,
        TLiteral<'pong'>,
        TLiteral<'none'>
      ],
      {
        description:
          'What counts as a receipt. auto: an ack where the client offers it, else the pong of a ping sent after the message. none: the write to the socket, for peers behind a proxy that answers pings.',
        default: 'auto'
      }
    ),
    RECEIPT_GRACE_SECONDS: Count(
      'Messages with a pong as receipt within this time before the socket of a browser died are delivered again.',
      10,
      0
    ),
    PONG_DEADLINE_SECONDS: Count('A socket that sends nothing for this long after a ping is closed (4002).', 10),
    STALL_DEADLINE_SECONDS: Count(
      'A socket that was sent messages and gives no receipt for this long is closed (4002).',
      30
    ),
    WINDOW_MESSAGES: Count(
      'Most messages sent to a socket and still without a receipt; further ones wait in the database.',
      1_024
    ),
    WINDOW_BYTES: Count('Most bytes sent to a socket and still without a receipt.', 1_048_576, 1_024),
    MAX_DELIVERIES: Type.Integer({
      minimum: 0,
      maximum: 32_767,
      default: 0,
      description:
        'A message that so many sessions were sent and did not receipt is set aside: it stays in its mailbox, is shown to administrators, and is not sent until it is queued again. 3 at least, or messages sent with it are set aside, too. 0: never.'
    })
  },
  Limits: {
    MAX_CONNECTIONS: Count(
      'Sockets open at once; one more is refused with 503. Fewer where the process may not have as many files open.',
      20_000
    ),
    MAX_UNREGISTERED_PER_ADDRESS: Count(
      'Sockets of one address that have not registered; one more is refused with 429.',
      2_048
    ),
    MAX_CONNECTIONS_PER_ADDRESS: Count(
      'Sockets of one address; one more is refused with 429. Never more than half of MAX_CONNECTIONS. An IPv6 address counts as its /64.',
      4_096
    ),
    WORK_PER_SOCKET: Count(
      'Work one socket may ask for in a second, in microseconds (docs/limits.md). Above it the socket is read more slowly, then told, then closed (1008). 0: no limit.',
      250_000,
      0
    ),
    WORK_PER_ADDRESS: Count(
      'Work all sockets of one address may ask for in a second, in microseconds; a small share of each socket does not count. Above it they are read more slowly. 0: no limit.',
      500_000,
      0
    ),
    WORK_PER_IDENTITY: Count('The same for all sockets of one client id or L2PS key.', 250_000, 0),
    WORK_PER_NETWORK: Count(
      'The same for all registered sockets of one L2PS network, or of signaling. 0: only its operator knows how many they are.',
      0,
      0
    ),
    MESSAGE_DEADLINE_SECONDS: Count('A socket whose message is not complete after this long is closed (1008).', 30),
    REGISTRATION_DEADLINE_SECONDS: Count('A socket that has not registered by then is closed (4001).', 10),
    MAX_FAILED_PROOFS_PER_ADDRESS: Count(
      'Failed proofs for one name or key from one address in a minute; above it none of them is checked.',
      1_000
    ),
    MAX_FAILED_REGISTRATIONS_PER_SOCKET: Count('Failed registrations on one socket; the next closes it (1008).', 20),
    MAX_REFUSED_FRAMES_PER_SECOND: Count(
      'Frames of one socket answered with an error; above it the socket is not read until the second is over.',
      1_000
    ),
    MAX_SESSIONS_PER_KEY: Count('Registered sockets of one L2PS key in one network; one more is refused.', 16),
    MAX_FRAMES_IN_FLIGHT: Count(
      'Frames of one socket being handled; above it the socket is not read until one is done.',
      256
    ),
    PROOF_WORKERS: Type.Integer({
      minimum: 0,
      maximum: 64,
      description:
        'Worker threads that check Falcon proofs, and before Node 24.6 also ML-DSA proofs. 0: one less than there are processors, at least one.',
      default: 0
    }),
    PROOF_QUEUE_LENGTH: Count('Proofs that may wait for a worker; one more is refused.', 2_048),
    MAX_WAITING_MESSAGES: Count('Accepted messages that may wait for their commit; one more is refused.', 20_000),
    MAX_WAITING_BYTES: Count('Bytes of accepted messages that may wait for their commit.', 67_108_864),
    HEARTBEAT_SECONDS: Count('A socket that sent nothing for this long is pinged.', 30)
  },
  Presence: {
    DISCOVER_PEERS: Count('Most peers in one answer to discover, or in the list of a new L2PS session.', 1_000),
    PRESENCE_FAN_OUT_PEERS: Count(
      'Peers in a network above which a peer that joins or leaves is told only to those it exchanged messages with.',
      5_000
    )
  },
  'Audit trail': {
    NODE_KEY_FILE: optional(
      Text('ed25519 key that signs the logs (PKCS#8 PEM). Unset: node.key in DATA_DIR, made at the first start.')
    ),
    AUDIT_ORIGIN: optional(
      Type.String({
        pattern: '^[!-*,-~]+$',
        allowed: 'letters, digits and signs without spaces and without +',
        description: "First part of every log's name, like relay.example.com/audit. Unset: made from the key."
      })
    ),
    AUDIT_INTERVAL_MS: Type.Integer({
      minimum: 50,
      maximum: 1_000,
      description: 'Pause between two polls for records that wait for their index in the log.',
      default: 500
    }),
    AUDIT_BATCH_EVENTS: Type.Integer({
      minimum: 16,
      maximum: 4_096,
      description: 'Most records that get their index in one transaction.',
      default: 512
    }),
    AUDIT_REQUESTS_PER_MINUTE: Count('Requests to /audit one address may make in a minute.', 3_000),
    AUDIT_ANCHOR_SECONDS: Count('Shortest time between two anchored checkpoints of a log.', 60),
    ANCHOR: Type.Union([Type.Literal('log'), Type.Literal('demos-rpc')], {
      description:
        'Where checkpoints are anchored. log: a log of this node. demos-rpc: a Demos chain, which costs DEM.',
      default: 'log'
    }),
    DEMOS_RPC_URL: optional(
      Type.String({
        pattern: '^https?://',
        allowed: 'an address that begins with http:// or https://',
        description: 'Node of the chain, for ANCHOR=demos-rpc.',
        secret: true
      })
    ),
    DEMOS_RPC_KEY: optional(
      Type.String({
        pattern: '^(0x)?[0-9a-fA-F]{64}$',
        allowed: '64 hexadecimal digits',
        description: "Account that pays for anchoring: its 32-byte ed25519 seed in hex. Unset: the node key's account.",
        secret: true
      })
    )
  },
  Administration: {
    ADMIN_PORT: optional(
      Port(
        'Port of a listener for /admin, /console, /docs, /metrics and the details of /health/ready alone; the other listeners then answer 404 there. Unset: every listener serves them.'
      )
    ),
    ADMIN_HOST: Text('Address the listener of ADMIN_PORT listens on.', '127.0.0.1'),
    ADMIN_TOKEN: optional(
      Type.String({
        pattern: '^[!-~]{16,4096}$',
        allowed: '16 to 4096 characters of ASCII without spaces',
        description:
          'Opens /admin and the records of the audit trail. Unset: admin.token in DATA_DIR, made at the first start.',
        secret: true
      })
    ),
    TOKENS_FILE: optional(
      Text(
        'Further tokens, each with a name and a role (`demos-relay token`). Read again when it changes. Unset: tokens.json in DATA_DIR.'
      )
    ),
    ADMIN_REQUESTS_PER_MINUTE: Count(
      'Requests to /admin in a minute, for each token and address. Requests without a valid token are counted apart.',
      600
    )
  },
  Logging: {
    LOG_LEVEL: Type.Union(
      ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'].map((level) => Type.Literal(level)),
      { description: 'Lowest level of the log lines that are written.', default: 'info' }
    )
  }
} as const

type Sections = typeof SECTIONS
type Merge<T> = (T extends unknown ? (x: T) => void : never) extends (x: infer U) => void ? U : never

export const ConfigSchema = Type.Object(
  Object.assign({}, ...Object.values(SECTIONS)) as Merge<Sections[keyof Sections]>
)

/** A checked configuration: every default filled in, every value inside its limits. */
export type Config = Static<typeof ConfigSchema> & {
  /** Where DATABASE_URL came from, if from a file: it is read again at each connect, see databaseUrl(). */
  DATABASE_URL_FILE?: string
}
