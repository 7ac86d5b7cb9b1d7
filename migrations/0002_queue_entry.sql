-- Sealed messages that were accepted and not yet received: every recipient's mailbox.
-- Locks: none on existing tables. Breaking for a running older server: no.
-- Undo: drop table quota, queue_entry; drop sequence entry_seq;

-- Counts accepted messages, kept or not: an entry and the kept message it stands for share one number.
create sequence entry_seq as bigint cache 1;

create table queue_entry (
  seq         bigint  not null default nextval('entry_seq'),
  network     text    collate "C" not null check (length(network) between 1 and 128),
  sender      text    collate "C" not null check (length(sender) between 1 and 256),
  recipient   text    collate "C" not null check (length(recipient) between 1 and 256),
  key_id      text    collate "C",            -- the recipient's encryption key it was sealed for; null: none was known
  sealed      text,                           -- JSON text, opaque to us: never parsed here; null: in message
  size_bytes  integer not null check (size_bytes > 0),
  slot        boolean not null,               -- holds a place in the quotas of its sender and its recipient
  accepted_at bigint  not null,               -- ms since 1970
  expires_at  bigint  not null check (expires_at > accepted_at),
  -- Serves takePage(): one mailbox, in the order of acceptance; and releaseEntries().
  primary key (network, recipient, seq)
);
-- Serves expireEntries(): what is past its time, oldest first.
create index queue_entry_expiry_idx on queue_entry (expires_at);

-- What one peer has waiting in a network, as the sender and as the recipient of entries that hold a slot.
create table quota (
  network text    collate "C" not null,
  peer    text    collate "C" not null,
  role    text    collate "C" not null check (role in ('sender', 'recipient')),
  entries integer not null default 0 check (entries >= 0), -- a release that happened twice would show here
  bytes   bigint  not null default 0 check (bytes >= 0),
  primary key (network, peer, role)
);
