-- What mailboxes hold is summed up from an index, not from the table, which is as large as the sealed bodies: 200,000
-- messages of 1 kB are 155 MB of table and 24 MB of index. Each entry of the index becomes some 45 bytes longer. None of the
-- included columns changes while a message waits, but for key_id when a withheld message is freed.
-- Locks: access exclusive on queue_entry while the index is built. Breaking for a running older server: no.
-- Undo: alter table queue_entry drop constraint queue_entry_pkey, add primary key (network, recipient, seq);
-- Serves takePage(), releaseEntries(), listMailboxes(), sortMailboxes(), summarizeMailbox(), readQueueStats(), countQueue().
alter table queue_entry drop constraint queue_entry_pkey,
  add primary key (network, recipient, seq) include (size_bytes, accepted_at, key_id);
