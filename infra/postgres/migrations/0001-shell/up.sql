-- The wires: how far each consumer has come, what waits to be published, and which requests were answered.

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only: a row is never changed or removed; write a new one that corrects it',
        tg_table_name using errcode = 'restrict_violation';
end $$;
comment on function refuse_change() is
    'Trigger function for append-only tables: before update or delete, for each row (and before truncate, for each statement).';

create table progress (
    app              text        not null,
    topic            text        not null,
    partition        int         not null check (partition >= 0),
    epoch            bigint      not null,  -- grows with every claim; a writer with an older one is a zombie
    next_offset      bigint      not null check (next_offset >= 0),  -- the first record not yet applied
    last_sequence    bigint,                -- of the last applied record, on topics that number their records
    max_event_us     bigint,                -- the latest event time seen, microseconds since 1970 UTC
    last_advanced_at timestamptz not null default clock_timestamp(),
    primary key (app, topic, partition)
) with (fillfactor = 50);

create table outbox_head (
    topic     text   not null,
    partition int    not null check (partition >= 0),
    next_seq  bigint not null default 1,  -- taken under this row's lock, so numbers follow commit order
    primary key (topic, partition)
) with (fillfactor = 50);

create table outbox (
    topic       text        not null,
    partition   int         not null,
    seq         bigint      not null check (seq > 0),
    key         text        not null,
    event_id    text        not null,
    headers     jsonb       not null,
    body        bytea       not null,
    recorded_at timestamptz not null default clock_timestamp(),
    primary key (topic, partition, seq),
    foreign key (topic, partition) references outbox_head
);

create table relay_lease (
    topic      text        primary key,
    holder     text        not null,
    expires_at timestamptz not null
) with (fillfactor = 50);

create table relay_position (
    topic         text   not null,
    partition     int    not null,
    published_seq bigint not null,  -- trails Kafka by at most one transaction; Kafka's own tail is asked first
    primary key (topic, partition),
    foreign key (topic, partition) references outbox_head
) with (fillfactor = 50);

create table idempotency (
    principal  text        not null,
    key        text        not null,
    route      text        not null,
    body_hash  bytea       not null,
    status     int         not null,
    headers    jsonb       not null,
    response   bytea       not null,
    created_at timestamptz not null default clock_timestamp(),
    primary key (principal, key)
);
create trigger idempotency_is_append_only before update or delete on idempotency
    for each row execute function refuse_change();
create trigger idempotency_is_not_truncated before truncate on idempotency
    for each statement execute function refuse_change();
