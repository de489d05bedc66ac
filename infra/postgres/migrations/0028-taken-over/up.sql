-- What was published after the moment to which the database was restored.

create table outbox_taken_over (
    topic         text   not null,
    event_id      text   not null,
    partition     int    not null,
    seq           bigint not null,
    digest        bytea  check (octet_length(digest) = 32),  -- of what it says; null: it may be said otherwise
    taken_over_at timestamptz not null default clock_timestamp(),
    reproduced_at timestamptz,                               -- null: the database does not say the same yet
    primary key (topic, event_id),
    foreign key (topic, partition) references outbox_head
);
comment on table outbox_taken_over is
    'Records that a topic held and the outbox did not know, by `earnback recover`. The same is not published again.';
