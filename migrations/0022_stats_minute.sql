-- What the charts of the console show of the last week: a row for each minute of each relay. Old rows are deleted, so there are
-- at most 10,081 of a relay.
-- Locks: none on existing tables. Breaking for a running older server: no. Undo: drop table stats_minute;
create table stats_minute (
  minute        integer not null,                 -- since 1970
  relay         text    collate "C" not null,     -- '' where there is one relay
  accepted      integer not null,                 -- in this minute, like the next five
  delivered     integer not null,
  refused       integer not null,
  expired       integer not null,
  bytes         bigint  not null,                 -- of received frames
  rejected      jsonb   not null,                 -- frames answered with an error, by its code
  sessions      integer not null,                 -- at its end, like the next four
  peers         integer not null,
  waiting       integer not null,                 -- messages in mailboxes: of all relays, since the database is theirs together
  waiting_bytes bigint  not null,
  lag_p99       real    not null,                 -- ms
  accept_p50    real,                             -- ms; null: no message, like the next three
  accept_p99    real,
  delivery_p50  real,
  delivery_p99  real,
  -- Serves readHistory() and trimHistory().
  primary key (minute, relay)
);
