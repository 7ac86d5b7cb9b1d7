-- The audit trail: one transparency log per network (docs/audit.md).
-- Locks: none on existing tables. Breaking for a running older server: no.
-- Undo: drop table audit_anchor, audit_tile, audit_entry, audit_sender, audit_log, audit_inbox.

-- Facts to be recorded, written in the transaction of what they speak of: one row for each network in a transaction, so
-- that the path of messages pays for a row a group and not for a row a message. The sequencer takes them from here.
create table audit_inbox (
  seq     bigint  generated always as identity primary key,
  network text    collate "C" not null check (length(network) between 1 and 128),
  count   integer not null check (count > 0),
  events  text    not null,                 -- JSON, see src/store/audit-inbox.ts
  salts   bytea   not null check (octet_length(salts) = 16 * count)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000); -- a queue: many rows pass, few stay
alter table audit_inbox alter column events set storage external; -- not worth compressing for a second

-- One log. Its tree grows with the records; a checkpoint is signed, remembered beside the node key, then published.
create table audit_log (
  id             integer generated always as identity primary key,
  network        text    collate "C" not null unique,
  epoch          integer not null default 1,   -- grows when an operator accepts a restored database; part of the origin
  size           bigint  not null default 0,
  root           bytea   not null check (octet_length(root) = 32),
  published_size bigint  not null default 0 check (published_size <= size),
  published_note text,                         -- the checkpoint of published_size
  published_at   bigint  not null default 0,   -- ms since 1970
  anchored_size  bigint  not null default 0,   -- records below it are under an anchored checkpoint
  anchor_queued_at bigint not null default 0   -- when a checkpoint last went into the outbox, ms since 1970
) with (fillfactor = 50); -- updated with every batch

-- How many records a peer has caused in a log: the nonce of its last one.
create table audit_sender (
  log    integer not null,
  sender text    collate "C" not null,
  nonce  bigint  not null,
  primary key (log, sender)
) with (fillfactor = 80);

create table audit_entry (
  log         integer not null,
  idx         bigint  not null,
  message_seq bigint,
  entry       bytea   not null check (octet_length(entry) <= 65535), -- canonical JSON: the leaf's bytes
  -- Serves entry bundles and verification, in the order of the log.
  primary key (log, idx)
);
-- Serves proofs: a record by its transaction hash. No record is in a log twice.
create unique index audit_entry_hash_idx on audit_entry (sha256(entry));
-- Serves the rollup status of history.
create index audit_entry_message_idx on audit_entry (message_seq) where message_seq is not null;

-- The Merkle tree, as C2SP tlog-tiles has it: up to 256 hashes a row, the last row of a level grows.
create table audit_tile (
  log    integer  not null,
  level  integer  not null,
  idx    bigint   not null,
  hashes bytea    not null check (octet_length(hashes) between 32 and 8192),
  primary key (log, level, idx)
);
alter table audit_tile alter column hashes set storage external; -- hashes do not compress

-- Signed checkpoints on their way to the anchor, and those that arrived.
create table audit_anchor (
  id              bigint  generated always as identity primary key,
  log             integer not null,
  epoch           integer not null,
  size            bigint  not null,
  note            text    not null,
  created_at      bigint  not null,             -- ms since 1970, like the others
  attempts        integer not null default 0,
  next_attempt_at bigint  not null,
  done_at         bigint,
  reference       text,
  constraint audit_anchor_once unique (log, epoch, size)
);
-- Serves the outbox worker; a log has one checkpoint on its way at a time.
create unique index audit_anchor_pending_idx on audit_anchor (log) where done_at is null;
