-- Entries are deleted and changed by their number alone. By the whole key, in sets, Postgres has to choose how to join,
-- and it chooses by what it believes the table to hold: of a mailbox that was empty when it last looked, every entry was
-- compared with every one of the set, seconds for a few thousand. Of one bigint there is nothing to choose. A hash, since it
-- has no order: no page of a mailbox is ever read through it.
-- Locks: share on queue_entry while it is built. Breaking for a running older server: no. Undo: drop index queue_entry_seq_idx;
-- Serves releaseEntries(), expireEntries(), purgeEntries(), requeueEntries().
create index queue_entry_seq_idx on queue_entry using hash (seq);
