-- What the closer has to do next is found by time: when an agreement can close, and which facts matter to what was counted.

create table next_close (
    agreement          text   primary key,
    versions           int    not null,  -- of the agreement, of which the row was worked out; 0: nothing can be told of it
    programme_versions int    not null,
    period             text,             -- the first that is not closed; null: there is none
    due_us             bigint,           -- when it closes, event time in microseconds since 1970 UTC
    closed             int    not null check (closed >= 0),  -- periods
    check ((period is null) = (due_us is null))
) with (fillfactor = 70);
create index next_close_by_time on next_close (due_us);
comment on table next_close is
    'The next period of each agreement. Moved in the transaction that closes it, and when contracts have changed.';

create table counted_period (
    agreement text not null,
    period    text not null,
    since     date not null,  -- charges and circumstances stated for these days may belong to it, the last one excluded
    until     date not null,
    primary key (agreement, period)
);
comment on table counted_period is
    'Periods that are closed or are being closed. A row is written before the facts of the period are read.';

create table counted_span (
    agreement text   not null,
    period    text   not null,
    metric    int,              -- null: what it needs cannot be told, any fact may change it
    first_us  bigint not null,  -- the facts that it needs, half open
    past_us   bigint not null
);
create index counted_span_by_time on counted_span (metric, past_us, first_us);
create index counted_span_by_period on counted_span (agreement, period);
comment on table counted_span is
    'Which facts the count of a period reads: how late facts find the periods that they may change.';
