-- Statements say which version of the rules made them; a restatement is a run that a person orders.

alter table statement
    add column rules int not null default 1 check (rules >= 1);
comment on column statement.rules is
    'The version of earnback''s rules that made it; 1 for all that came before the column.';

create or replace view latest_statement as
    select distinct on (agreement, period) *
      from statement
     order by agreement, period, revision desc;

alter table settlement_run
    add column ordered_by   text,
    add column order_reason text check (order_reason <> ''),
    add check ((reason = 'restated') = (ordered_by is not null)),
    add check ((ordered_by is null) = (order_reason is null)),
    drop constraint settlement_run_agreement_evaluated_because_of_revision_key;
create unique index settlement_run_by_evaluation
    on settlement_run (agreement, evaluated, because_of, revision) where ordered_by is null;
comment on column settlement_run.ordered_by is
    'Who ordered a restatement, with the reason in order_reason; null: an evaluation caused the run.';
