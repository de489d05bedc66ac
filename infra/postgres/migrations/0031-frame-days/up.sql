-- Which frames hold facts of a metric and day: whoever counts a period reads these and no others.

create table frame_day (
    metric    int not null,  -- -1 stands for facts that name no metric
    day       int not null,  -- days since 1970 UTC, of the facts' event times
    partition int not null,
    number    int not null,
    primary key (metric, day, partition, number)
);
comment on table frame_day is
    'The frames by metric and UTC day of their facts. Written in the step that stores the frame; of older frames, every day from '
    'the first to the last for every metric.';

insert into frame_day
    select metric, day, partition, number
      from fact_frame
     cross join lateral unnest(metrics) as metric
     cross join lateral generate_series(floor(min_us / 86400000000.0)::int, floor(max_us / 86400000000.0)::int) as day
     where n > 0;

create trigger frame_day_is_append_only before update or delete on frame_day
    for each row execute function refuse_change();
create trigger frame_day_is_not_truncated before truncate on frame_day
    for each statement execute function refuse_change();

-- Nobody looks for frames by time alone any more.
drop index fact_frame_by_time;
