-- Checkpoints are found by what changed: a step reads the periods that it touches, not those before.

delete from settlement_checkpoint;  -- any row may be deleted, and is made again by the next run

alter table settlement_checkpoint
    drop column ahead,
    add column ahead       text[]  not null,  -- each in JSON: agreement, way, what the period looked at in later evaluations
    add column begins      date    not null,  -- the period's first day
    add column terms       bytea   not null check (octet_length(terms) = 32),  -- digest of all it was settled by besides evaluations
    add column looked_back integer not null check (looked_back >= 0);  -- so many periods back it looked at others
comment on column settlement_checkpoint.link is 'Digest of the row and of the link before it.';

create index on settlement_checkpoint (agreement, begins);
