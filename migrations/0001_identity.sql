-- Who owns a peer's name: the keys pinned to it the first time it registered.
-- Locks: none on existing tables. Breaking for a running older server: no. Undo: drop table identity_key, identity;
create table identity (
  network        text  collate "C" not null check (length(network) between 1 and 128),
  peer           text  collate "C" not null check (length(peer) between 1 and 256),
  algorithm      text  not null check (algorithm in ('ed25519', 'ml-dsa', 'falcon')),
  signing_key    bytea not null,
  encryption_key bytea,                     -- handed out to other peers; null where the protocol has none
  key_id         text  collate "C" check (key_id ~ '^[0-9a-f]{32}$'), -- names encryption_key
  registered_at  timestamptz not null default now(),
  last_seen_at   timestamptz not null default now(),
  check ((encryption_key is null) = (key_id is null)),
  primary key (network, peer)
);

-- Every encryption key an identity ever registered: the record of its key changes.
create table identity_key (
  network        text  collate "C" not null,
  peer           text  collate "C" not null,
  key_id         text  collate "C" not null,
  encryption_key bytea not null,
  registered_at  timestamptz not null default now(),
  primary key (network, peer, key_id, registered_at)
);
