-- Which answers are given to a correction: it lies in its own periods, and they in other partitions.

create table linked_answer (
    of128     bytea not null check (octet_length(of128) = 16),  -- the identity of what is answered
    partition int   not null,
    root      bytea not null,                                   -- the identity of the answer
    primary key (of128, partition, root)
);
create index linked_answer_by_root on linked_answer (partition, root);
comment on table linked_answer is
    'What each answer is given to. Written in the step that stores the answer, whether or not what it answers is there.';

create index linked_fact_by_identity on linked_fact (id128) where corrects is not null;
