-- Names that registered with a challenge once: from then on they register with one only (docs/protocol.md, 2.9).
-- Locks: access exclusive on identity, for an instant. Breaking for a running older server: no, but it does not know the
-- rule and registers such names without a challenge until it is replaced.
-- Undo: alter table identity drop column challenged;
alter table identity add column challenged boolean not null default false;
