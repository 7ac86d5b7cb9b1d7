-- Which relays run over this database, and at which of them a peer has sessions: for several relays over one database.
-- The tables are not logged: after a crash or a failover of the database they are empty, and every relay enters its peers
-- again.
-- Locks: access exclusive on message while the index is built. Breaking for a running older server: no.
-- Undo: drop table relay, session, session_receipt; drop sequence session_epoch; drop index message_page_idx;
--   create unique index message_history_idx on message (conversation, sent_at); -- not where two messages share a time
create unlogged table relay (
  id           uuid        primary key, -- made at every start: a relay that comes back is another one
  cluster      text        collate "C" not null check (length(cluster) between 1 and 64),
  name         text        collate "C" not null check (length(name) between 1 and 256),
  version      text        collate "C" not null check (length(version) between 1 and 64),
  listener_pid integer,                 -- backend of the connection that listens for its notifications; null: it has none
  started_at   timestamptz not null default now(),
  lease_until  timestamptz not null
);

create sequence session_epoch as bigint;

-- A place: this peer has sessions at this relay.
create unlogged table session (
  network    text     collate "C" not null check (length(network) between 1 and 128),
  peer       text     collate "C" not null check (length(peer) between 1 and 256),
  relay      uuid     not null,
  epoch      bigint   not null default nextval('session_epoch'), -- who holds an older one has lost the place
  key_id     text     collate "C" check (length(key_id) between 1 and 128),
  sessions   smallint not null check (sessions >= 0),
  -- Its last session has ended. The row stays for a moment: a peer that comes to another relay finds that it was here.
  left_at    timestamptz,
  -- The session broke off: it may owe receipts of messages up to this one, which are kept for its return.
  owed_seq   bigint,
  entered_at timestamptz not null default now(),
  primary key (network, peer, relay)
);
-- A client id has at most one place.
create unique index session_one_idx on session (peer) where network = 'signaling' and left_at is null;
-- Serves placesWithMail(), deadRelays() and freePlaces().
create index session_relay_idx on session (relay, network, peer);
-- Serves forgetLeft().
create index session_left_idx on session (left_at) where left_at is not null;

-- A message whose recipient has several places leaves its mailbox when every one of them has received it.
create unlogged table session_receipt (
  seq   bigint not null,
  relay uuid   not null,
  primary key (seq, relay)
);

-- Serves readHistory(): one conversation, newest first. Two relays may give two of its messages the same millisecond.
create index message_page_idx on message (conversation, sent_at);
drop index message_history_idx;
