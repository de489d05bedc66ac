-- What is left of each settled period: settlement goes on from there instead of from the first period.

create table settlement_checkpoint (
    agreement     text    not null,
    period        text    not null,
    evaluation    bytea   not null check (octet_length(evaluation) = 32),  -- digest of the evaluation that was settled
    beyond        boolean not null,  -- it states something of another time than its period's
    circumstances text[]  not null,  -- the names of the circumstances that it states
    ahead         text    not null,  -- JSON: what the period looked at in later evaluations
    covered       boolean not null,  -- a version covers the period
    link          bytea   not null check (octet_length(link) = 32),  -- digest of all that the period stood on
    facts         text    not null,  -- JSON: what the evaluation says, but for its figures
    after         text    not null,  -- JSON: what later periods look back at
    primary key (agreement, period)
);
comment on table settlement_checkpoint is
    'Worked out from evaluations and contracts alone: any row may be deleted, and is made again by the next run.';

alter table settlement_checkpoint enable row level security;
alter table settlement_checkpoint force row level security;
create policy services on settlement_checkpoint using (true) with check (true);
create policy party on settlement_checkpoint as restrictive for select to earnback_party
    using (party_sees_agreement(agreement));
