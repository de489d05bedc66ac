-- What is kept of a party's refused events has a quota a day and a time; what is beyond is counted.

create table refusal_count (
    party         text        not null,  -- whose events; 'operator' where nobody's can be told
    day           date        not null,  -- UTC
    part          text        not null,  -- who counts: one writer at a time
    code          text        not null,
    kept          bigint      not null default 0,
    kept_bytes    bigint      not null default 0,
    beyond        bigint      not null default 0,  -- refused, and no more kept than a count
    beyond_bytes  bigint      not null default 0,
    digest        bytea       not null default '',  -- of all beyond, in order: sha256(digest before, sha256 of the bytes)
    sample        bytea,                 -- of the first beyond, cut
    sample_detail text,
    last_at       timestamptz not null default clock_timestamp(),
    primary key (party, day, part, code),
    check ((beyond = 0) = (digest = '') and (beyond = 0) = (sample is null))
) with (fillfactor = 70);
comment on table refusal_count is
    'How much was refused of a party in a day: what is kept, and what is beyond its quota.';

create table refusal_read (
    topic     text   not null,
    partition int    not null,
    through   bigint not null,  -- refusals up to this offset are kept or counted
    primary key (topic, partition)
);
comment on table refusal_read is
    'How far the refusals of an intake topic are kept or counted: read again after a crash, none counts twice.';

create function refuse_early_removal() returns trigger language plpgsql as $$
begin
    if old.refused_at > clock_timestamp() - interval '7 days' then
        raise exception '% is kept for seven days at least: a younger row is never removed',
            tg_table_name using errcode = 'restrict_violation';
    end if;
    return old;
end $$;

drop trigger intake_refusal_is_append_only on intake_refusal;
create trigger intake_refusal_is_append_only before update on intake_refusal
    for each row execute function refuse_change();
create trigger intake_refusal_is_kept_for_a_time before delete on intake_refusal
    for each row execute function refuse_early_removal();
create index intake_refusal_by_time on intake_refusal (refused_at);
create index quarantine_item_by_time on quarantine_item (first_at)
    where reason in ('conflict', 'beyond_horizon', 'unreadable');
