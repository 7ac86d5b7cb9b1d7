-- Identities are found by the beginning of their names, whatever the case of its letters (ASCII), and listed by age.
-- Locks: share on identity while the indexes are built. Breaking for a running older server: no.
-- Undo: drop index identity_search_idx, identity_since_idx;
-- Serves listIdentities() with a search.
create index identity_search_idx on identity (lower(peer), network, peer);
-- Serves listIdentities() in the order of registration. registered_at never changes, so updates stay cheap.
create index identity_since_idx on identity (registered_at, network, peer);
