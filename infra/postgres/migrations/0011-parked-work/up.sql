-- Work on one agreement that failed: it is kept here, and everything else goes on.

create table parked_work (
    number      bigint      generated always as identity primary key,
    service     text        not null check (service in ('evaluator', 'settlement')),
    what        text        not null check (what in (
                    'programme', 'agreement', 'close', 'late_facts', 'evaluation', 'restatement')),
    programme   text        not null default '',
    agreement   text        not null default '',
    period      text        not null default '',
    vendor      text,                  -- whose agreement it is; null: the operator and the buyer see it
    buyer       text,                  -- null: only the operator sees it
    reason      text        not null,
    error       text        not null,  -- class of what was raised
    place       text        not null,  -- where it was raised
    input       text        not null,  -- digest of what it was tried with: tried again when it differs
    trace_id    text        not null,  -- the correlation id of the log lines
    attempts    int         not null default 1 check (attempts >= 1),
    first_at    timestamptz not null default clock_timestamp(),
    last_at     timestamptz not null default clock_timestamp(),
    resolved_at timestamptz
);
create unique index parked_work_open on parked_work (service, what, programme, agreement, period)
    where resolved_at is null;
comment on table parked_work is
    'Work that failed for a reason of its own; open while resolved_at is null. Rows are never removed.';
