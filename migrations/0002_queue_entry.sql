-- Sealed messages that were accepted and not yet received: every recipient's mailbox.
-- Locks: none on existing tables. Breaking for a running older server: no. Undo: drop table quota, queue_entry;
create table queue_entry (
  seq         bigint  generated always as identity,
  network     text    collate "C" not null check (length(network) between 1 and 128),
  sender      text    collate "C" not null check (length(sender) between 1 and 256),
  recipient   text    collate "C" not null check (length(recipient) between 1 and 256),
  key_id      text    collate "C",            -- the recipient's encryption key it was sealed for; null: none was known
  sealed      text    not null,               -- JSON text, opaque to us: never parsed here
  size_bytes  integer not null check (size_bytes > 0),
  slot        boolean not null,               -- holds a place in the quotas of its sender and its recipient
  accepted_at bigint  not null,               -- ms since 1970
  expires_at  bigint  not null check (expires_at > accepted_at),
  -- Serves takePage(): one mailbox, in the order of acceptance; and release().
  primary key (network, recipient, seq)
);
-- Serves expire(): what is past its time, oldest first.
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
