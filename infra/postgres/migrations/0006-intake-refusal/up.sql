-- What the doors refuse and a person may want to see, with the bytes as they came.

create table intake_refusal (
    number       bigint      primary key default nextval('quarantine_item_number_seq'),
    name         text        not null unique,  -- of the place, or of the bytes where they came over HTTP
    topic        text,
    partition    int,
    kafka_offset bigint,
    party        text        not null,  -- who sent it: by topic, or by key
    source       text,                  -- as far as it could be read
    event_id     text,
    code         text        not null,
    detail       text        not null,
    problem      json        not null,  -- RFC 9457; json, because jsonb refuses texts with a NUL
    headers      json        not null,
    raw          bytea       not null,
    refused_at   timestamptz not null default clock_timestamp(),
    unique (topic, partition, kafka_offset),
    check ((topic is null) = (partition is null) and (topic is null) = (kafka_offset is null))
);
create index intake_refusal_by_party on intake_refusal (party, number);
create trigger intake_refusal_is_append_only before update or delete on intake_refusal
    for each row execute function refuse_change();
create trigger intake_refusal_is_not_truncated before truncate on intake_refusal
    for each statement execute function refuse_change();
