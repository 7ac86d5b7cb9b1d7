-- Who has written to whom: a mailbox that fills up keeps room for those its owner knows, and a name that nobody wrote to and
-- that wrote to nobody was never used.
-- Locks: none on existing tables; reads queue_entry once. Breaking for a running older server: no, but it notes no contacts.
-- Undo: drop table contact;
create table contact (
  network   text        collate "C" not null check (length(network) between 1 and 128),
  sender    text        collate "C" not null check (length(sender) between 1 and 256),
  recipient text        collate "C" not null check (length(recipient) between 1 and 256),
  since     timestamptz not null default now(),
  used_on   date        not null default current_date, -- of its messages the last day is noted, not each
  -- Serves strangers().
  primary key (network, recipient, sender)
);
-- Serves forgetContacts().
create index contact_used_idx on contact (used_on);
-- Serves deleteUnused(): did a peer write to anybody?
create index contact_sender_idx on contact (network, sender);

insert into contact (network, sender, recipient, since)
select network, sender, recipient, to_timestamp(min(accepted_at) / 1000.0) from queue_entry group by network, sender, recipient;
