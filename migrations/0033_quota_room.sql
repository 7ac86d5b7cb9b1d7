-- Rows of quotas are changed all the time. Where their page has room, a change needs no new entry in the index (HOT).
-- Locks: share update exclusive on quota. Breaking for a running older server: no. Undo: alter table quota reset (fillfactor);
alter table quota set (fillfactor = 70);
