-- Corrections that do not fit their events are kept and shown like whatever else does not count.

alter table quarantine_item
    drop constraint quarantine_item_reason_check,
    add check (reason in ('conflict', 'beyond_horizon', 'unreadable', 'refused_correction'));

create table correction_verdict (
    number    bigint      generated always as identity primary key,
    item      bigint      not null references quarantine_item,
    refused   boolean     not null,
    agreement text        not null,
    period    text        not null,
    seen_at   timestamptz not null default clock_timestamp()
);
create index correction_verdict_by_item on correction_verdict (item, number);
comment on table correction_verdict is
    'A refused correction that applies since, or is refused again: by the count of which period it was seen. The newest row holds.';

create trigger correction_verdict_is_append_only before update or delete on correction_verdict
    for each row execute function refuse_change();
create trigger correction_verdict_is_not_truncated before truncate on correction_verdict
    for each statement execute function refuse_change();

create view applied_correction as
    select item, seen_at
      from (select distinct on (item) item, refused, seen_at
              from correction_verdict order by item, number desc) newest
     where not refused;
comment on view applied_correction is
    'Quarantined corrections that are refused no more, and since when.';
