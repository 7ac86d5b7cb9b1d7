-- How often an entry was sent to a session that ended without a receipt: shown to administrators, and past a limit it is
-- set aside.
-- The index of expiry becomes one for each protocol: its first entry is the oldest message that waits.
-- The index of message ages goes. A BRIN index on a table that rows are deleted from finds ever less, since new rows fill
-- the old blocks; what is old is found by walking the primary key, whose order is nearly that of age.
-- Locks: access exclusive on queue_entry and message while the two indexes are built. Breaking for a running older server: no.
-- Undo: alter table queue_entry drop column deliveries; create index message_age_idx on message using brin (sent_at);
--   create index queue_entry_expiry_idx on queue_entry (expires_at);
--   drop index queue_entry_expiry_signaling_idx, queue_entry_expiry_l2ps_idx;
alter table queue_entry add column deliveries smallint not null default 0 check (deliveries >= 0);
-- Serve expireEntries() and oldestInQueue().
create index queue_entry_expiry_signaling_idx on queue_entry (expires_at) where network = 'signaling';
create index queue_entry_expiry_l2ps_idx on queue_entry (expires_at) where network <> 'signaling';
drop index queue_entry_expiry_idx;
drop index message_age_idx;
