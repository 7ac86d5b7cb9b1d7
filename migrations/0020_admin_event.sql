-- Who administered what: a row for each action that also makes a record of the audit trail, with the name of the token. The
-- records themselves do not name tokens, since those of some networks are public.
-- Locks: none on existing tables. Breaking for a running older server: no; what it does is missing here.
-- Undo: drop table admin_event;
create table admin_event (
  id      bigint  generated always as identity primary key, -- serves listAdminEvents(), newest first
  at      bigint  not null,                                 -- ms since 1970
  token   text    collate "C",                              -- its name; null: done before names were kept
  action  text    collate "C" not null,
  network text    collate "C" not null,
  peer    text    collate "C",                              -- whom or whose mailbox; null: the network
  sender  text    collate "C",                              -- only what this sender had sent
  entries integer,
  bytes   bigint
);
-- Serves listAdminEvents() of one network, or of one peer in it.
create index admin_event_target_idx on admin_event (network, peer, id);

-- What was done before this table was there, from the records: the newest of them. Reads the records once, 500 bytes each.
insert into admin_event (at, action, network, peer, sender, entries, bytes)
select (record ->> 'acceptedAtMs')::bigint,
  case record ->> 'type' when 'administration' then record ->> 'action' else record ->> 'type' end,
  log.network, coalesce(record ->> 'peer', record ->> 'to'), record ->> 'from',
  (record ->> 'entries')::integer, (record ->> 'sizeBytes')::bigint
from (
  select log, convert_from(entry, 'UTF8')::jsonb as record from audit_entry
  where position('"type":"administration"'::bytea in entry) > 0 or position('"type":"purge"'::bytea in entry) > 0
    or position('"type":"identityRelease"'::bytea in entry) > 0
) as known join audit_log as log on log.id = known.log
where record ->> 'type' in ('administration', 'purge', 'identityRelease')
order by (record ->> 'acceptedAtMs')::bigint;
