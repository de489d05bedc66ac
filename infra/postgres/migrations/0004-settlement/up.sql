-- Settlement: what was evaluated, what it comes to, what is booked, and what is contested.

create table evaluation_received (
    agreement   text        not null,
    period      text        not null,
    revision    int         not null check (revision >= 1),
    programme   text        not null,
    reason      text        not null,
    body        text        not null,  -- canonical JSON of the evaluation, as the digest was taken of
    sha256      bytea       not null check (octet_length(sha256) = 32),
    received_at timestamptz not null default clock_timestamp(),
    primary key (agreement, period, revision)
);

create table settlement_refused (
    refused_id  uuid        primary key,  -- made from topic, partition and offset
    topic       text        not null,
    partition   int         not null,
    kafka_offset bigint     not null,
    reason      text        not null,
    body        bytea       not null,
    refused_at  timestamptz not null default clock_timestamp()
);
comment on table settlement_refused is
    'Records that can never be applied, with the reason; the stream goes on without them.';

create table version_taken_up (
    agreement    text        not null,
    version      int         not null check (version >= 1),
    applies_from date,                  -- null: no period was settled when it came, it rules as written
    taken_up_at  timestamptz not null default clock_timestamp(),
    primary key (agreement, version)
);
comment on table version_taken_up is
    'From when on settlement lets a version of an agreement rule: never inside a period settled before it came.';

create table settlement_run (
    run_id      uuid        primary key,
    agreement   text        not null,
    number      int         not null check (number >= 1),
    because_of  text        not null,
    revision    int         not null check (revision >= 1),
    reason      text        not null,
    recorded_at timestamptz not null default clock_timestamp(),
    unique (agreement, number),
    unique (agreement, because_of, revision),
    foreign key (agreement, because_of, revision) references evaluation_received
);

create table book_head (
    only_one      boolean primary key default true check (only_one),
    next_position bigint  not null check (next_position >= 1)
) with (fillfactor = 50);
insert into book_head (next_position) values (1);
comment on table book_head is
    'Hands out positions under its row lock, so that they have no holes and follow the order of commits.';

create table statement (
    position    bigint      not null unique check (position >= 1),
    agreement   text        not null,
    period      text        not null,
    revision    int         not null check (revision >= 1),
    run_id      uuid        not null references settlement_run,
    programme   text        not null,
    version     int         not null,
    vendor      text        not null,
    buyer       text        not null,
    currency    char(3)     not null,
    total_minor bigint      not null,
    body        text        not null,  -- canonical JSON, as the digest was taken of
    sha256      bytea       not null check (octet_length(sha256) = 32),
    substance   bytea       not null check (octet_length(substance) = 32),  -- digest without the wording of steps
    supersedes  int,
    recorded_at timestamptz not null default clock_timestamp(),
    primary key (agreement, period, revision),
    foreign key (agreement, period, supersedes) references statement,
    check (case when revision = 1 then supersedes is null else supersedes = revision - 1 end)
);
create index statement_by_vendor on statement (vendor, position);
create index statement_by_run on statement (run_id);

create table statement_line (
    agreement   text   not null,
    period      text   not null,
    revision    int    not null,
    line        text   not null,
    ordinal     int    not null check (ordinal >= 0),
    kind        text   not null,
    level       text,
    for_period  text   not null,
    minor_units bigint not null,
    version     int    not null,
    primary key (agreement, period, revision, line),
    foreign key (agreement, period, revision) references statement
);

create table ledger_entry (
    entry_id       uuid        primary key,  -- made from run, period and line: a replay collides here
    position       bigint      not null unique check (position >= 1),
    run_id         uuid        not null references settlement_run,
    programme      text        not null,
    agreement      text        not null,
    version        int         not null,
    vendor         text        not null,
    buyer          text        not null,
    period         text        not null,
    line           text        not null,
    kind           text        not null,
    level          text,
    debit_account  text        not null,
    credit_account text        not null,
    minor_units    bigint      not null check (minor_units > 0),
    currency       char(3)     not null,
    facts_digest   text        not null check (facts_digest ~ '^[0-9a-f]{64}$'),
    recorded_at    timestamptz not null default clock_timestamp(),
    owed_minor     bigint      not null generated always as
        (case when debit_account = 'vendor:' || vendor || ':owes' then minor_units else -minor_units end) stored,
    check (debit_account <> credit_account),
    check ('vendor:' || vendor || ':owes' in (debit_account, credit_account)),
    check (debit_account like 'buyer:' || buyer || ':%' or credit_account like 'buyer:' || buyer || ':%')
);
create index ledger_entry_by_line on ledger_entry (agreement, period, line);
create index ledger_entry_by_vendor on ledger_entry (vendor, position);
create index ledger_entry_by_run on ledger_entry (run_id);

create view posted_line as
    select agreement, period, line, kind, level, vendor,
           case when owed_minor > 0 then credit_account else debit_account end as buyer_account,
           currency, sum(owed_minor)::bigint as minor_units
      from ledger_entry
     group by 1, 2, 3, 4, 5, 6, 7, 8;
comment on view posted_line is
    'What all runs together have booked for a line, on the two accounts it moves between.';

create view latest_statement as
    select distinct on (agreement, period) *
      from statement
     order by agreement, period, revision desc;

create function ledger_meets_statement() returns trigger language plpgsql as $$
declare
    wrong record;
begin
    select line, coalesce(due.amount, 0) as due,
           coalesce(booked.amount, 0) as booked
      into wrong
      from (select line, currency, sum(minor_units) as amount
              from statement_line join latest_statement using (agreement, period, revision)
             where agreement = new.agreement and period = new.period
             group by line, currency) as due
      full join (select line, currency, sum(owed_minor) as amount
              from ledger_entry
             where agreement = new.agreement and period = new.period
             group by line, currency) as booked using (line, currency)
     where coalesce(due.amount, 0) <> coalesce(booked.amount, 0)
     limit 1;
    if found then
        raise exception 'the ledger and the statement of % % differ on line %: % is booked, % is due',
            new.agreement, new.period, wrong.line, wrong.booked, wrong.due
            using errcode = 'integrity_constraint_violation';
    end if;
    return null;
end $$;

create function line_meets_statement() returns trigger language plpgsql as $$
declare
    due    numeric;
    booked numeric;
begin
    select coalesce(sum(minor_units), 0) into due
      from statement_line join latest_statement using (agreement, period, revision)
     where agreement = new.agreement and period = new.period and line = new.line
       and currency = new.currency;
    select coalesce(sum(owed_minor), 0) into booked
      from ledger_entry
     where agreement = new.agreement and period = new.period and line = new.line
       and currency = new.currency;
    if due <> booked then
        raise exception 'the ledger and the statement of % % differ on line %: % is booked, % is due',
            new.agreement, new.period, new.line, booked, due
            using errcode = 'integrity_constraint_violation';
    end if;
    return null;
end $$;

create function total_is_sum_of_lines() returns trigger language plpgsql as $$
declare
    lines numeric;
begin
    select coalesce(sum(minor_units), 0) into lines
      from statement_line
     where agreement = new.agreement and period = new.period and revision = new.revision;
    if lines <> new.total_minor then
        raise exception 'the lines of the statement % % revision % come to %, its total says %',
            new.agreement, new.period, new.revision, lines, new.total_minor
            using errcode = 'integrity_constraint_violation';
    end if;
    return null;
end $$;

-- At the end of the transaction, when statement, lines and entries are all there.
create constraint trigger statement_is_booked after insert on statement
    deferrable initially deferred for each row execute function ledger_meets_statement();
create constraint trigger statement_adds_up after insert on statement
    deferrable initially deferred for each row execute function total_is_sum_of_lines();
create constraint trigger entry_is_stated after insert on ledger_entry
    deferrable initially deferred for each row execute function line_meets_statement();

create table settlement_pending (
    agreement text        not null,
    period    text        not null,
    run_id    uuid        not null references settlement_run,
    reasons   jsonb       not null check (jsonb_typeof(reasons) = 'array'),
    since     timestamptz not null default clock_timestamp(),
    primary key (agreement, period)
);
comment on table settlement_pending is
    'Closed periods that cannot be settled yet, and why. The one table here whose rows come and go.';

create table dispute (
    dispute_id  uuid        primary key,
    position    bigint      generated always as identity,
    agreement   text        not null,
    vendor      text        not null,
    buyer       text        not null,
    period      text        not null,
    revision    int         not null,
    line        text        not null,
    recorded_at timestamptz not null default clock_timestamp(),
    foreign key (agreement, period, revision, line) references statement_line
);
create index dispute_by_line on dispute (agreement, period, line);

create table dispute_event (
    dispute_id  uuid        not null references dispute,
    number      int         not null check (number >= 1),
    act         text        check (act in ('review', 'uphold', 'dismiss', 'withdraw')),
    state       text        not null
        check (state in ('raised', 'under_review', 'upheld', 'dismissed', 'withdrawn')),
    actor       text        not null,
    comment     text        not null,
    recorded_at timestamptz not null default clock_timestamp(),
    primary key (dispute_id, number),
    check ((number = 1) = (act is null))
);

do $$
declare
    append_only text;
begin
    foreach append_only in array array[
        'evaluation_received', 'settlement_refused', 'version_taken_up', 'settlement_run', 'statement',
        'statement_line', 'ledger_entry', 'dispute', 'dispute_event'
    ] loop
        execute format('create trigger %I before update or delete on %I for each row execute function refuse_change()',
                       append_only || '_is_append_only', append_only);
        execute format('create trigger %I before truncate on %I for each statement execute function refuse_change()',
                       append_only || '_is_not_truncated', append_only);
    end loop;
end $$;
