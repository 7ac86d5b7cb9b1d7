-- Messages reach the inbox in the form in which they come: a column for each of their facts, or, of those that history keeps
-- anyway, only their numbers. And salts are made when an event becomes a record, not on the path of messages.
-- Locks: access exclusive on audit_inbox, for a moment. Breaking for a running older server: yes, it writes salts.
-- Undo, once the sequencer has emptied it: alter table audit_inbox drop column message_seqs, drop column senders,
--   drop column recipients, drop column digests, drop column sizes, drop column accepted_at,
--   alter column events set not null, add column salts bytea not null check (octet_length(salts) = 16 * count);
alter table audit_inbox
  drop column salts,
  alter column events drop not null, -- what is no message
  add column message_seqs bigint[],  -- messages that are in message
  add column senders      text[],    -- messages that are nowhere else
  add column recipients   text[],
  add column digests      text[],
  add column sizes        bigint[],
  add column accepted_at  bigint[];  -- of messages, ms since 1970
update audit_inbox
set message_seqs = array(
    select (event ->> 7)::bigint from json_array_elements(events::json) with ordinality as e (event, place) order by place),
  accepted_at = array(
    select (event ->> 1)::bigint from json_array_elements(events::json) with ordinality as e (event, place) order by place),
  events = null
where events::json -> 0 ->> 7 is not null;
alter table audit_inbox
  add check (num_nonnulls(events, message_seqs, digests) = 1),
  add check (events is not null or cardinality(accepted_at) = count),
  add check (message_seqs is null or cardinality(message_seqs) = count),
  add check (digests is null
    or (cardinality(senders), cardinality(recipients), cardinality(digests), cardinality(sizes)) = (count, count, count, count)),
  alter column senders    set storage external, -- as events: not worth compressing for a second
  alter column recipients set storage external,
  alter column digests    set storage external;
