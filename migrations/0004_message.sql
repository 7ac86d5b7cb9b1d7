-- Messages kept for history (L2PS), and the register proofs that were used.
-- Locks: none on existing tables. Breaking for a running older server: no. Undo: drop table message, used_proof;
create table message (
  seq          bigint  primary key default nextval('entry_seq'), -- the number of its mailbox entry, too
  id           uuid    not null,               -- what history calls it
  conversation uuid    not null,               -- names network and pair of peers, see conversationId()
  network      text    collate "C" not null check (length(network) between 1 and 128),
  sender       text    collate "C" not null check (length(sender) between 1 and 256),
  recipient    text    collate "C" not null check (length(recipient) between 1 and 256),
  message_hash text    collate "C" not null check (length(message_hash) between 1 and 512),
  sealed       text    not null,               -- JSON text, opaque to us: never parsed here
  size_bytes   integer not null check (size_bytes > 0),
  sent_at      bigint  not null,               -- ms since 1970, strictly growing within a conversation
  -- The two facts a message's status is made of. Received is what has no mailbox entry any more and was not given up.
  delivery     text    collate "C" not null default 'accepted' check (delivery in ('accepted', 'expired', 'purged')),
  rollup       text    collate "C" not null default 'none' check (rollup in ('none', 'pending', 'batched', 'confirmed')),
  -- A send that is retried must not be stored twice.
  constraint message_once unique (conversation, message_hash, sender)
);
-- Serves readHistory(): one conversation, newest first; unique, so a page boundary never falls between two messages.
create unique index message_history_idx on message (conversation, sent_at);
-- Serves deleteOldMessages(): rows lie on disk in about this order.
create index message_age_idx on message using brin (sent_at);

-- A register proof works on one socket only, also after a restart.
create table used_proof (
  digest     bytea  primary key,
  expires_at bigint not null -- ms since 1970: past it the proof is too old to be shown again
);
-- Serves sweepProofs().
create index used_proof_expiry_idx on used_proof (expires_at);
