-- Which revision of a period's evaluation the reasons were found in: the references in them are numbered by it.

alter table settlement_pending add column evaluated integer;
comment on column settlement_pending.evaluated is
    'Revision of the evaluation of the period that the reasons are about. Null: found by an earlier release; the latest.';
