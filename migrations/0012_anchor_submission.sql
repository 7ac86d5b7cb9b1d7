-- Transactions signed for checkpoints that are anchored on a Demos chain, kept before they are sent: what was sent once
-- is sent again as it was, so nothing is paid twice.
-- Locks: none on existing tables. Breaking for a running older server: no. Undo: drop table anchor_submission;
create table anchor_submission (
  id          bigint      generated always as identity primary key,
  checkpoint  text        collate "C" not null,   -- names the checkpoint, see checkpointKey()
  hash        text        collate "C" not null unique check (hash ~ '^[0-9a-f]{64}$'),
  address     text        collate "C" not null,   -- the account that pays
  nonce       bigint      not null check (nonce > 0),
  transaction text        not null,               -- JSON text: the order of its keys is what was signed
  created_at  timestamptz not null default now()
);
-- Serves recallSubmissions().
create index anchor_submission_checkpoint_idx on anchor_submission (checkpoint, id);
-- Serves highestSubmissionNonce().
create index anchor_submission_nonce_idx on anchor_submission (address, nonce);
