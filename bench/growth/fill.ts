// Tables as they are after years: filled straight with SQL, with rows of the shapes and sizes that the relay writes.
import { randomBytes } from 'node:crypto'
import postgres from 'postgres'
import { append, type Edge, hashesIn, rootOfEdge, TILE_WIDTH } from '../../src/tlog/tiles.ts'
import { EMPTY_ROOT, rootOf } from '../../src/tlog/tree.ts'
import { BENCH_NETWORK } from '../protocols/l2ps.ts'

export interface Size {
  /** Stored messages of one L2PS network, each with its record in the audit trail. */
  readonly messages: number
  /** Messages that wait in mailboxes: half of them in that network, half in signaling. */
  readonly queued: number
  /** Half of them keys of that network, half client ids. */
  readonly identities: number
  /** Bytes of a sealed message. */
  readonly bodyBytes: number
}

/** Messages of one conversation: they lie as far apart in the table as they can. */
export const OF_A_CONVERSATION = 100
/** Messages in one mailbox of signaling: so few that a sweep meets as many mailboxes in the small database as in the full one. */
const OF_A_MAILBOX = 25
/** The oldest stored message, and the oldest one that waits, in ms. */
export const HISTORY_MS = 300 * 86_400_000
export const WAITING_MS = 6 * 86_400_000
export const TTL_MS = 7 * 86_400_000
/** Random bytes and letters that keys and bodies are cut from: as incompressible as the real ones. */
const POOL_BYTES = 1_000_000
const FILLED = [
  ...['identity', 'identity_key', 'message', 'queue_entry', 'quota', 'contact'],
  ...['audit_log', 'audit_sender', 'audit_entry', 'audit_tile']
]
/** Their indexes are made after they are filled, which takes a fraction of the time. */
const INDEXED_LATER = ['message', 'queue_entry', 'audit_entry', 'identity']

/** The key of the nth peer of the network, and the name of the nth client, in SQL. */
const keyOf = (n: string) => `encode(sha256(int8send((${n})::bigint)), 'hex')`
const cut = (pool: string, n: string, bytes: string) =>
  `substring(${pool} from (1 + (${n}) * 7919 % ${POOL_BYTES - 5_000})::int for ${bytes})`

/** Durable by the checkpoint at the end; sorts and indexes are made in memory. */
const SESSION = { synchronous_commit: 'off', work_mem: '512MB', maintenance_work_mem: '1GB', statement_timeout: 0 }

/** Fills migrated, empty tables, and leaves them as autovacuum would. */
export async function fill(url: string, size: Size, say: (text: string) => void): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => {}, connection: SESSION })
  try {
    await fillTables(sql, size, say)
  } finally {
    await sql.end({ timeout: 1 })
  }
}

async function fillTables(sql: postgres.Sql, size: Size, say: (text: string) => void): Promise<void> {
  const pools = { bytes: randomBytes(POOL_BYTES), letters: Buffer.from(randomBytes(POOL_BYTES).toString('base64')) }
  const indexes = await sql<{ schemaname: string; indexname: string; indexdef: string }[]>`
    select i.schemaname, i.indexname, i.indexdef from pg_indexes i
    where tablename = any(${INDEXED_LATER}::text[])
      and not exists (select from pg_constraint c where c.conname = i.indexname)`
  const keys = await sql<{ table: string; name: string; definition: string }[]>`
    select conrelid::regclass::text as table, conname as name, pg_get_constraintdef(oid) as definition from pg_constraint
    where conrelid::regclass::text = any(${INDEXED_LATER}::text[]) and contype in ('p', 'u')`
  const step = async (title: string, text: string, values: (Buffer | number | string)[] = []) => {
    const began = performance.now()
    await sql.unsafe(text, values)
    say(`filling, ${title}: ${Math.round((performance.now() - began) / 1_000)} s`)
  }
  for (const { indexname } of indexes) await sql.unsafe(`drop index ${indexname}`)
  for (const { table, name } of keys) await sql.unsafe(`alter table ${table} drop constraint ${name}`)
  const half = { queued: Math.floor(size.queued / 2), identities: Math.floor(size.identities / 2) }
  const now = Date.now()
  await step('keys of the network', KEYS, [pools.bytes, half.identities])
  await step('client ids', CLIENTS, [pools.bytes, half.identities])
  await step('keys of client ids', CLIENT_KEYS)
  const conversations = Math.max(1, Math.floor(size.messages / OF_A_CONVERSATION))
  await step('conversations', conversationsText(conversations))
  await sql`alter table filled_conversation add primary key (c)`
  const everyMs = HISTORY_MS / size.messages
  const shape = [pools.letters, size.messages, size.bodyBytes, now - HISTORY_MS, everyMs, conversations]
  await step('messages', MESSAGES, shape)
  const waitsEveryMs = WAITING_MS / Math.max(1, half.queued)
  const firstWaits = now - WAITING_MS
  await step('mailboxes of the network', L2PS_QUEUE, [size.messages - half.queued, TTL_MS, firstWaits, waitsEveryMs])
  const mailboxes = Math.max(1, Math.floor(half.queued / OF_A_MAILBOX))
  const waiting = [pools.letters, half.queued, size.bodyBytes, mailboxes, size.messages, firstWaits, TTL_MS]
  await step('mailboxes of signaling', SIGNALING_QUEUE, [...waiting, waitsEveryMs])
  await step('quotas and contacts', QUOTAS)
  await step('contacts of the network', CONTACTS)
  await step('audit trail', AUDIT_ENTRIES, [pools.bytes, conversations, size.messages, mailboxes])
  await step('senders of the audit trail', AUDIT_SENDERS)
  for (const { table, name, definition } of keys) {
    await step(name, `alter table ${table} add constraint ${name} ${definition}`)
  }
  for (const { indexname, indexdef } of indexes) await step(indexname, indexdef)
  await fillTree(sql, 1, BENCH_NETWORK, size.messages)
  await fillTree(sql, 2, 'signaling', half.queued)
  await sql.unsafe(`drop table filled_conversation; select setval('entry_seq', ${size.messages + half.queued + 1})`)
  for (const table of FILLED) await step(`vacuum of ${table}`, `vacuum (analyze) ${table}`)
  await sql.unsafe('checkpoint')
}

const KEYS = `
  insert into identity (network, peer, algorithm, signing_key, registered_at, last_seen_at)
  select '${BENCH_NETWORK}', ${keyOf('n')}, 'ed25519', ${cut('$1::bytea', 'n', '32')}, now() - interval '20 days', now()
  from generate_series(1, $2::bigint) as n`

/** As the official client: ML-DSA-65 and ML-KEM-768. */
const CLIENTS = `
  insert into identity
    (network, peer, algorithm, signing_key, encryption_key, key_id, registered_at, last_seen_at)
  select 'signaling', 'client-' || n, 'ml-dsa', ${cut('$1::bytea', 'n', '1952')}, ${cut('$1::bytea', 'n * 3', '1184')},
    md5(n::text), now() - interval '20 days', now()
  from generate_series(1, $2::bigint) as n`

const CLIENT_KEYS = `
  insert into identity_key (network, peer, key_id, encryption_key, registered_at)
  select network, peer, key_id, encryption_key, registered_at from identity where encryption_key is not null`

/** The uuid is that of conversationId(). */
const conversationsText = (count: number) => `
  create unlogged table filled_conversation as
  select c, a, b, left(encode(sha256(convert_to(
      '${BENCH_NETWORK}' || chr(10) || least(a, b) || chr(10) || greatest(a, b), 'UTF8')), 'hex'), 32)::uuid as id
  from (
    select c, ${keyOf('2 * c + 1')} collate "C" as a, ${keyOf('2 * c + 2')} collate "C" as b
    from generate_series(0, ${count - 1}) as c) as pair`

/** Both sides send in turn, and rows lie in the order in which they were sent. $1: letters, $2: messages, $3: bytes, $4: the first time, $5: ms between two, $6: conversations. */
const MESSAGES = `
  insert into message (seq, id, conversation, network, sender, recipient, message_hash, sealed, size_bytes, sent_at)
  select n, md5(n::text)::uuid, pair.id, '${BENCH_NETWORK}', case when of_first then a else b end,
    case when of_first then b else a end, ${keyOf('n')},
    '{"ciphertext":"' || convert_from(${cut('$1::bytea', 'n', '$3::int - 46')}, 'UTF8') || '","nonce":"AAAAAAAAAAAAAAAA"}',
    $3::int, $4::bigint + (n * $5::float8)::bigint
  from generate_series(1, $2::bigint) as n
    cross join lateral (
      select id, a, b, (n - 1) / $6::bigint % 2 = 0 as of_first from filled_conversation
      where c = (n - 1) % $6::bigint offset 0) as pair -- not a join, which would have its own order`

/** $1: the last message that was received, $2: ms a message may wait, $3: the first time, $4: ms between two. */
const L2PS_QUEUE = `
  insert into queue_entry (seq, network, sender, recipient, size_bytes, slot, accepted_at, expires_at)
  select seq, network, sender, recipient, size_bytes, true, at, at + $2::bigint
  from message cross join lateral (select $3::bigint + ((seq - $1::bigint) * $4::float8)::bigint as at) as accepted
  where seq > $1::bigint`

/** $1: letters, $2: entries, $3: bytes, $4: mailboxes, $5: the last seq, $6: the first time, $7: ms they may wait, $8: between two. */
const SIGNALING_QUEUE = `
  insert into queue_entry
    (seq, network, sender, recipient, key_id, sealed, size_bytes, slot, accepted_at, expires_at)
  select $5::bigint + n, 'signaling', 'client-' || (1 + 2 * (n % $4::bigint)), 'client-' || (2 + 2 * (n % $4::bigint)),
    md5((2 + 2 * (n % $4::bigint))::text),
    '{"serializedEncryptedData":"' || convert_from(${cut('$1::bytea', 'n', '$3::int - 30')}, 'UTF8') || '"}',
    $3::int, true, $6::bigint + (n * $8::float8)::bigint, $6::bigint + (n * $8::float8)::bigint + $7::bigint
  from generate_series(1, $2::bigint) as n`

const QUOTAS = `
  with waiting as (
    insert into quota (network, peer, role, entries, bytes)
    select network, peer, role, count(*), sum(size_bytes) from (
      select network, sender as peer, 'sender' as role, size_bytes from queue_entry union all
      select network, recipient, 'recipient', size_bytes from queue_entry) as use
    group by network, peer, role
  )
  insert into contact (network, sender, recipient, since)
  select distinct network, sender, recipient, now() - interval '20 days' from queue_entry`

const CONTACTS = `
  insert into contact (network, sender, recipient, since)
  select '${BENCH_NETWORK}', sender, recipient, now() - interval '20 days'
  from filled_conversation cross join lateral (values (a, b), (b, a)) as way (sender, recipient)
  on conflict do nothing`

/**
 * One record for each message: of kept ones, and of those that wait in signaling; the nonces of each sender count them.
 * $1: salts, $2: conversations, $3: messages, $4: mailboxes of signaling.
 */
const AUDIT_ENTRIES = `
  insert into audit_entry (log, idx, message_seq, entry)
  select log, idx, seq, convert_to(
    '{"acceptedAtMs":' || at || ',"digest":"' || digest || '","from":"' || sender || '","network":"' || network ||
    '","nonce":' || nonce || ',"salt":"' ||
    encode(${cut('$1::bytea', 'idx', '16')}, 'hex') || '","sizeBytes":' || size_bytes || ',"to":"' || recipient ||
    '","type":"instantMessaging","version":1}', 'UTF8')
  from (
    select 1 as log, seq - 1 as idx, (seq - 1) / $2::bigint / 2 + 1 as nonce, seq, sent_at as at, message_hash as digest,
      sender, network, size_bytes, recipient from message
    union all
    select 2, seq - $3::bigint - 1, (seq - $3::bigint - 1) / $4::bigint + 1, null, accepted_at,
      encode(sha256(convert_to(sealed, 'UTF8')), 'hex'), sender, network, size_bytes, recipient
    from queue_entry where network = 'signaling') as accepted`

const AUDIT_SENDERS = `
  insert into audit_sender (log, sender, nonce)
  select 1, sender, count(*) from message group by sender union all
  select 2, sender, count(*) from queue_entry where network = 'signaling' group by sender`

/** The tiles of a log, and its root: leaf hashes by Postgres, what lies above them here. */
async function fillTree(sql: postgres.Sql, log: number, network: string, size: number): Promise<void> {
  await sql`
    insert into audit_tile (log, level, idx, hashes)
    select ${log}::int, 0, idx / ${TILE_WIDTH}::int, string_agg(sha256('\\x00'::bytea || entry), ''::bytea order by idx)
    from audit_entry where log = ${log} group by 3`
  const above: Uint8Array[] = []
  const edge: Uint8Array[][] = []
  const tiles = sql<{ hashes: Buffer }[]>`
    select hashes from audit_tile where log = ${log} and level = 0 order by idx`
  for await (const rows of tiles.cursor(1_000)) {
    for (const { hashes } of rows) {
      if (hashes.length === TILE_WIDTH * 32) above.push(rootOf(hashesIn(hashes)))
      else edge[0] = hashesIn(hashes)
    }
  }
  const higher = append(0, [], above)
  for (const { level, index, hashes } of higher.tiles) {
    await sql`insert into audit_tile (log, level, idx, hashes) values (${log}, ${level + 1}, ${index}, ${hashes})`
  }
  const whole: Edge = [edge[0] ?? [], ...higher.edge]
  const root = size === 0 ? EMPTY_ROOT : rootOfEdge(whole)
  await sql`
    insert into audit_log (id, network, size, root) overriding system value
    values (${log}, ${network}, ${size}, ${Buffer.from(root)})`
  await sql`select setval(pg_get_serial_sequence('audit_log', 'id'), ${log})`
}
