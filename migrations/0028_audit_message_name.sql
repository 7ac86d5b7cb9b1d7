-- Names a record of a signaling message by its sender, recipient and digest, so that either of the two can ask for it
-- (docs/protocol.md, 2.10). Null in every other record: a message of L2PS is found by its place in history.
-- Locks: access exclusive on audit_entry, for a moment (no row is rewritten, and the index is empty).
-- Breaking for a running older server: no, but records it makes have no name, and are not found by one; nor are older ones.
-- Undo: alter table audit_entry drop column name;
alter table audit_entry add column name bigint;
-- Serves request_record: the first records of a name, whatever the planner believes of the table.
create index audit_entry_name_idx on audit_entry (name, idx) where name is not null;
