-- Answers are numbered in the order of their commits, so that whoever follows them reads on from the last one.

alter table four_eyes_answer add column position bigint generated always as identity unique;
comment on column four_eyes_answer.position is
    'Follows the order of commits: answers are given one after the other, under a lock.';
