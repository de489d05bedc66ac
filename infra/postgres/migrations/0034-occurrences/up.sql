-- Where the events of each outage, ticket and delivery are, and when it may matter: a count reads those of its windows.

create table occurrence (
    partition   int      not null check (partition >= 0),
    metric      int      not null,
    named       bytea    not null check (octet_length(named) = 16),  -- of the kind, the source and the name
    first_us    bigint   not null,  -- the first and the last moment that any of its events names, microseconds since 1970 UTC
    last_us     bigint   not null,
    ended_us    bigint,             -- the last moment at which one says that it was over; null: none does
    reopened_us bigint,             -- and that it is so no more
    past_us     bigint   not null generated always as (
        case when ended_us > coalesce(reopened_us, -1) then last_us else 4611686018427387904 end) stored,
    last_number int      not null,  -- the newest frame that holds one of its events
    times       bigint[] not null,  -- of each event its time, the frame that holds it, and its row there
    numbers     int[]    not null,
    places      int[]    not null,
    primary key (partition, metric, named)
) with (fillfactor = 80);
create index occurrence_by_time on occurrence (metric, past_us, first_us);
comment on table occurrence is
    'Events of outages, tickets and deliveries by what they tell of, as they were sent. Written in the step that stores them. past_us: until when it may matter; without an end, to all that follows.';

create table occurrence_backlog (
    partition int primary key,
    following int not null,  -- the next frame that is to be looked at
    past      int not null   -- the first one that was stored with its occurrences
);
insert into occurrence_backlog
    select partition, 0, max(number) + 1 from fact_frame group by partition;
comment on table occurrence_backlog is
    'Frames from before this table, whose occurrences the closer writes down in passes. While there is a row, counts read all events of a metric.';
