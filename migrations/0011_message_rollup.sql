-- How far a message's record is follows from audit_entry and audit_log; the column was never anything but 'none'.
-- Locks: access exclusive on message, for a moment. Breaking for a running older server: yes, its history reads the column.
-- Undo: alter table message add column rollup text collate "C" not null default 'none';
alter table message drop column rollup;
