-- What a count looks up instead of reading everything: corrections by what they correct, charges and circumstances by
-- the agreement and time that they are for.

create table linked_fact (
    partition int      not null check (partition >= 0),
    id128     bytea    not null check (octet_length(id128) = 16),
    number    int      not null,  -- the frame that holds it, and its row there
    place     int      not null,
    corrects  bytea,              -- the identity that a correction names
    root      bytea,              -- the event at the end of its chain, or itself; null while that is not known
    depth     int      not null,  -- corrections from here to the root, this one included; 0 for the root
    metric    int,                -- of a root: where it lies as it was sent
    at_us     bigint,
    said      text     not null,  -- JSON: what it puts in place of its event, or what a root states
    told      boolean  not null default false,  -- in quarantine, because its event is not there
    primary key (partition, id128),
    foreign key (partition, number) references fact_frame
);
create index linked_fact_by_root on linked_fact (partition, root) where root is not null;
create index linked_fact_waiting on linked_fact (partition, corrects) where root is null;
create index linked_fact_to_tell on linked_fact (partition, id128) where root is null and not told;
create index linked_fact_to_clear on linked_fact (partition, id128) where root is not null and told;
create index linked_fact_by_frame on linked_fact (partition, number);
comment on table linked_fact is
    'Facts that name no metric, and facts that were corrected. Written in the step that stores the fact; only root, depth and told are set later, when the event of a correction comes or does not.';

alter table correction_verdict alter column agreement drop not null, alter column period drop not null;
comment on column correction_verdict.agreement is
    'Whose count saw it. Null: the step that stored the event which the correction waited for.';

create table linked_metric (
    programme text   not null,
    metric    text   not null,
    at_us     bigint not null,
    partition int    not null,
    root      bytea  not null,
    primary key (programme, metric, at_us, partition, root)
);
create index linked_metric_by_root on linked_metric (partition, root);
comment on table linked_metric is
    'Where a corrected fact of a metric lies, as it was sent and as each of its corrections puts it.';

create table linked_agreement (
    agreement text  not null,
    label     text  not null,  -- the period that is stated, its first day, and the first day after it
    since     date  not null,
    until     date  not null,
    name      text  not null,  -- of the base or the circumstance
    partition int   not null,
    root      bytea not null,
    primary key (agreement, since, until, label, name, partition, root)
);
create index linked_agreement_by_root on linked_agreement (partition, root);
comment on table linked_agreement is
    'What charges and circumstances are for, as they were sent and as each of their corrections puts it.';

create table link_backlog (
    partition int primary key
);
insert into link_backlog select distinct partition from fact_frame where -1 = any(metrics);
comment on table link_backlog is
    'Partitions whose frames from before this table are not linked yet: done by the worker that next owns each.';
