-- Who carries a checkpoint to the anchor, so that nobody waits for a relay that is gone.
-- Locks: access exclusive on audit_anchor, for an instant. Breaking for a running older server: no.
-- Undo: alter table audit_anchor drop column relay;
alter table audit_anchor add column relay uuid; -- of this cluster, or of one start of a relay that was alone; null: nobody
