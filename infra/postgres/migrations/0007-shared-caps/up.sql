-- Caps that several agreements share: one evaluation can change the statements of others.

create table programme_taken_up (
    programme    text        not null,
    version      int         not null check (version >= 1),
    applies_from date,                  -- null: no period was settled when it came, it rules as written
    taken_up_at  timestamptz not null default clock_timestamp(),
    primary key (programme, version)
);
comment on table programme_taken_up is
    'From when on settlement lets the shared caps of a programme version rule: never inside a period settled before it came.';

create trigger programme_taken_up_is_append_only before update or delete on programme_taken_up
    for each row execute function refuse_change();
create trigger programme_taken_up_is_not_truncated before truncate on programme_taken_up
    for each statement execute function refuse_change();

alter table settlement_run
    add column caused_by text,
    add column evaluated text not null generated always as (coalesce(caused_by, agreement)) stored,
    drop constraint settlement_run_agreement_because_of_revision_key,
    drop constraint settlement_run_agreement_because_of_revision_fkey,
    add unique (agreement, evaluated, because_of, revision),
    add foreign key (evaluated, because_of, revision) references evaluation_received;
comment on column settlement_run.caused_by is
    'The agreement whose evaluation caused the run; null: its own. Another one shares a cap with it.';
