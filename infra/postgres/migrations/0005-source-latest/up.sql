-- How far each source has come: what late events are held against.

create table source_latest (
    partition int    not null check (partition >= 0),
    source    text   not null,
    latest_us bigint not null,  -- of the events that were accepted, microseconds since 1970 UTC
    primary key (partition, source)
) with (fillfactor = 50);
comment on table source_latest is
    'Written by the evaluator with the facts themselves; ingest reads it to tell senders at the door.';
