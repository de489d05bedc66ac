-- When each source was heard last, and since when one that never was is known: a period waits for sources, not for partitions.

alter table source_latest add column heard_at timestamptz not null default clock_timestamp();
comment on column source_latest.heard_at is
    'When something of the source was last applied, accepted or not.';

alter table source_owner add column declared_at timestamptz not null default clock_timestamp();
comment on column source_owner.declared_at is
    'A source that has never reported is silent since then.';
