-- Messages of history that are delivered no more, beside the messages themselves: to change a message is to write it anew, with an
-- entry in each of its four indexes, two of them at random places: 11 MB of WAL for a thousand messages that expired.
-- message.delivery keeps what was noted before, and what an older server notes.
-- Locks: none on existing tables. Breaking for a running older server: no, it takes what expires meanwhile for delivered.
-- Undo: update message set delivery = reason from given_up where given_up.seq = message.seq; drop table given_up;
create table given_up (
  seq    bigint primary key, -- of the message
  reason text   collate "C" not null check (reason in ('expired', 'purged'))
);
