-- A table to try a write on, and autovacuum settings of the tables that rows leave all the time: by the defaults a table
-- is cleaned when a fifth of it is dead, so its scans become slower and slower between two cleanings.
-- Locks: share update exclusive on the tables named. Breaking for a running older server: no.
-- Undo: drop table write_probe; alter table queue_entry reset (autovacuum_vacuum_scale_factor,
--   autovacuum_vacuum_threshold, autovacuum_analyze_scale_factor, autovacuum_analyze_threshold,
--   autovacuum_vacuum_cost_delay); likewise quota, used_proof, anchor_submission, audit_anchor.
create table write_probe (
  filler text not null -- nearly a page long, so that many of them need room on the disk
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
alter table write_probe alter column filler set storage plain;

alter table queue_entry set (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 2000,
  autovacuum_analyze_scale_factor = 0.05, autovacuum_analyze_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
alter table quota set (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
  autovacuum_vacuum_cost_delay = 0);
alter table used_proof set (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);
alter table audit_inbox set (autovacuum_vacuum_cost_delay = 0);
alter table audit_log set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
alter table audit_anchor set (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500);
