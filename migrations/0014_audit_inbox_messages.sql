-- Of a message that history keeps anyway, the inbox holds its number and when it was accepted, and nothing twice. And salts
-- are made when an event becomes a record, not on the path of messages.
-- Locks: access exclusive on audit_inbox, for a moment. Breaking for a running older server: yes, it writes salts.
-- Undo: once the sequencer has emptied audit_inbox: alter table audit_inbox drop column message_seqs, drop column accepted_at,
--   alter column events set not null, add column salts bytea not null check (octet_length(salts) = 16 * count);
alter table audit_inbox
  drop column salts,
  alter column events drop not null,
  add column message_seqs bigint[], -- messages in message, instead of events
  add column accepted_at  bigint[]; -- of each, ms since 1970
update audit_inbox
set message_seqs = array(
    select (event ->> 7)::bigint from json_array_elements(events::json) with ordinality as e (event, place) order by place),
  accepted_at = array(
    select (event ->> 1)::bigint from json_array_elements(events::json) with ordinality as e (event, place) order by place),
  events = null
where events::json -> 0 ->> 7 is not null;
alter table audit_inbox add check (
  case when events is null then cardinality(message_seqs) = count and cardinality(accepted_at) = count
  else message_seqs is null and accepted_at is null end);
