-- The keys that signed the audit logs, in the order of their time: the newest row is the one that may sign.
-- Locks: none on existing tables. Breaking for a running older server: no. Undo: drop table audit_node;
create table audit_node (
  id         integer generated always as identity primary key,
  public_key bytea   not null check (octet_length(public_key) = 32), -- ed25519
  since      bigint  not null                                        -- ms since 1970
);
