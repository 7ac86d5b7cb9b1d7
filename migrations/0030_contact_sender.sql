-- The index by sender ends in the recipient, so that it finds one contact as well as the primary key does. Postgres, which took the
-- table for small, could choose the index of two columns for strangers(), and then read all contacts of a sender for each message.
-- Locks: writes to contact wait while the index is made, a second for each million rows. Breaking for a running older server: no.
-- Undo: drop index contact_sender_idx; create index contact_sender_idx on contact (network, sender);
drop index contact_sender_idx;
-- Serves deleteUnused(), did a peer write to anybody?, and strangers().
create index contact_sender_idx on contact (network, sender, recipient);
