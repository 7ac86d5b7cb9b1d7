-- Whose a name was before it was idle for so long that another key could register it (IDENTITY_IDLE_DAYS), and since when it
-- is another's: the former owner and senders are told (docs/protocol.md, 2.8).
-- Locks: access exclusive on identity, for an instant. Breaking for a running older server: no, but it notes no former owner.
-- Undo: alter table identity drop column former_key, drop column owner_changed_at;
alter table identity
  add column former_key       bytea,
  add column owner_changed_at timestamptz;
