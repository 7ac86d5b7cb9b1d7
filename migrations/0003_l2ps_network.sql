-- The L2PS networks this server serves, besides those in files, and who may be in them.
-- Locks: none on existing tables. Breaking for a running older server: no.
-- Undo: drop table l2ps_first_start, l2ps_member, l2ps_network, l2ps_revision; drop function l2ps_changed, l2ps_close;
create table l2ps_network (
  uid          text        collate "C" primary key check (uid ~ '^[A-Za-z0-9_-]{1,128}$'),
  name         text        check (length(name) <= 256),
  description  text        check (length(description) <= 4096),
  enabled      boolean     not null default true,
  audit_public boolean     not null default false, -- are its audit records for everybody?
  members_only boolean     not null default false, -- only who is listed in l2ps_member may join; set with the first member
  created_at   timestamptz not null default now(),
  updated_at   timestamptz not null default now(),
  -- Names of scopes that are no L2PS network.
  constraint l2ps_network_reserved check (uid not in ('signaling', 'anchors'))
);

-- Who may join a network that is for members only.
create table l2ps_member (
  uid  text collate "C" not null references l2ps_network on delete cascade,
  -- The peer's address: an ed25519 key in lower-case hex; of a longer key its algorithm and SHA-256.
  peer text collate "C" not null check (peer ~ '^((falcon|ml-dsa):)?[0-9a-f]{64}$'),
  primary key (uid, peer)
);

-- How often the two tables above were changed: servers look here for news. One row.
create table l2ps_revision (
  only_row boolean primary key default true check (only_row),
  number   bigint  not null default 0
);
insert into l2ps_revision default values;

create function l2ps_changed() returns trigger language plpgsql as $$
begin
  update l2ps_revision set number = number + 1;
  return null;
end $$;
create trigger l2ps_network_changed after insert or update or delete or truncate on l2ps_network
  for each statement execute function l2ps_changed();
create trigger l2ps_member_changed after insert or update or delete or truncate on l2ps_member
  for each statement execute function l2ps_changed();

-- A network with a list stays closed when its last member is removed: only members_only = false opens it.
create function l2ps_close() returns trigger language plpgsql as $$
begin
  update l2ps_network set members_only = true
  where not members_only and uid in (select uid from added);
  return null;
end $$;
create trigger l2ps_member_close after insert on l2ps_member
  referencing new table as added for each statement execute function l2ps_close();

-- A row here: a server with an embedded database has started before, so no network is made for newcomers any more.
create table l2ps_first_start (
  only_row boolean     primary key default true check (only_row),
  at       timestamptz not null default now()
);
