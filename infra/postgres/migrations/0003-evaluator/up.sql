-- The evaluator: accepted facts frame by frame, running tallies, what was set aside, and what was closed.

create table fact_frame (
    partition    int         not null check (partition >= 0),
    number       int         not null check (number >= 0),  -- 0, 1, 2 ... per partition, in commit order
    first_offset bigint      not null,
    last_offset  bigint      not null check (last_offset >= first_offset),
    n            int         not null check (n >= 0),
    min_us       bigint,                 -- event times, microseconds since 1970 UTC; null when n = 0
    max_us       bigint,
    metrics      int[]       not null,   -- sorted numbers; -1 stands for facts that name no metric
    frame        bytea       not null,   -- Arrow, LZ4 inside
    ids          bytea       not null,   -- 16 bytes a fact, in the frame's order
    payloads     bytea       not null,   -- 8 bytes a fact, big-endian, in the frame's order
    dup_ids      bytea       not null,   -- 16 bytes for every repetition that was not counted again
    stored_at    timestamptz not null default clock_timestamp(),
    primary key (partition, number),
    unique (partition, first_offset),
    check (octet_length(ids) = 16 * n and octet_length(payloads) = 8 * n),
    check ((n = 0) = (min_us is null) and (n = 0) = (max_us is null))
);
alter table fact_frame
    alter column frame set storage external,
    alter column ids set storage external,
    alter column payloads set storage external,
    alter column dup_ids set storage external;
create index fact_frame_by_time on fact_frame (max_us, min_us);
create trigger fact_frame_is_append_only before update or delete on fact_frame
    for each row execute function refuse_change();
create trigger fact_frame_is_not_truncated before truncate on fact_frame
    for each statement execute function refuse_change();

create table tally (
    metric    int    not null,
    window_us bigint not null,
    partition int    not null,
    n         bigint not null,
    a         bigint not null,  -- sums modulo 2^62: no input can make a step fail
    b         bigint not null,
    checksum  bigint not null,  -- sum of the payload hashes modulo 2^62
    primary key (partition, metric, window_us)
) with (fillfactor = 70);

create table quarantine_item (
    number       bigint      generated always as identity primary key,
    reason       text        not null check (reason in ('conflict', 'beyond_horizon', 'unreadable')),
    id128        bytea       not null,   -- of the identity; of the record's place when unreadable
    payload      bytea       not null,
    source       text        not null,
    event_id     text        not null,
    partition    int         not null,
    first_offset bigint      not null,   -- the record that brought it first
    told         json,                   -- what came; json, because jsonb refuses texts with a NUL
    held         json,                   -- a conflict: what was accepted under this identity
    raw          bytea,                  -- an unreadable record, as it came
    problem      text        not null,
    times        bigint      not null default 1,
    first_at     timestamptz not null default clock_timestamp(),
    last_at      timestamptz not null default clock_timestamp(),
    unique (id128, payload, reason)
);
create index quarantine_item_by_event on quarantine_item (source, event_id);

create table evaluation (
    agreement  text        not null,
    period     text        not null,
    revision   int         not null check (revision >= 1),
    programme  text        not null,
    reason     text        not null,
    body       text        not null,   -- canonical JSON of the PeriodEvaluation
    sha256     bytea       not null check (octet_length(sha256) = 32),
    cover      jsonb       not null,   -- partition to the number of its last frame that was counted
    record     jsonb       not null,   -- why then: watermarks, idle partitions, request, versions
    closed_at  timestamptz not null default clock_timestamp(),
    primary key (agreement, period, revision)
);
create trigger evaluation_is_append_only before update or delete on evaluation
    for each row execute function refuse_change();
create trigger evaluation_is_not_truncated before truncate on evaluation
    for each statement execute function refuse_change();

create table close_request (
    number       bigint      generated always as identity primary key,
    agreement    text        not null,
    period       text        not null,
    requested_by text        not null,
    requested_at timestamptz not null default clock_timestamp(),
    outcome      text        check (outcome in ('closed', 'revised', 'unchanged', 'refused', 'alarm')),
    detail       text,
    revision     int,
    done_at      timestamptz
);
create index close_request_waiting on close_request (number) where outcome is null;

create table close_alarm (
    number      bigint      generated always as identity primary key,
    agreement   text        not null,
    period      text        not null,
    found       jsonb       not null,  -- where tallies and facts differ
    raised_at   timestamptz not null default clock_timestamp(),
    checked_at  timestamptz not null default clock_timestamp(),
    resolved_at timestamptz
);
create unique index close_alarm_open on close_alarm (agreement, period) where resolved_at is null;

create table touched (
    agreement text        not null,
    period    text        not null,
    cause     text        not null,
    first_at  timestamptz not null default clock_timestamp(),
    last_at   timestamptz not null default clock_timestamp(),
    primary key (agreement, period)
);
comment on table touched is
    'Closed periods that facts stored later may change. A row is removed with the recount that answers it.';

create table touch_scan (
    partition int primary key,
    number    int not null  -- the last frame that was looked at
) with (fillfactor = 50);
