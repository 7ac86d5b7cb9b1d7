-- Entries by their number: a B-tree instead of the hash index. Numbers that were given one after the other lie side by side in
-- it, so storing, releasing and sweeping touch a page where they touched one for each entry. It is an index of `seq + 0`, which
-- orders no mailbox: a page of a mailbox, which wants its entries by `seq`, is never read through it (decision 5).
-- Locks: access exclusive on queue_entry while it is built. Breaking for a running older server: no, but it reads the primary key whole
-- for each release. Undo: drop index queue_entry_number_idx; create index queue_entry_seq_idx on queue_entry using hash (seq);
-- Serves releaseEntries(), expireEntries(), purgeEntries(), requeueEntries(), deleteOldMessages(), readHistory().
create unique index queue_entry_number_idx on queue_entry ((seq + 0));
drop index queue_entry_seq_idx;
