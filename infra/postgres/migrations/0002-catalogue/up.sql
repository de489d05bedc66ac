-- The catalogue: programmes and agreements as applied, the numbers of metrics, and who may speak.

create table catalogue_revision (
    only_one boolean primary key default true check (only_one),
    revision bigint  not null check (revision >= 0)
) with (fillfactor = 50);
insert into catalogue_revision (revision) values (0);
comment on table catalogue_revision is
    'Grows with every change of the catalogue. Its row lock lets one change in at a time.';

create table programme_version (
    programme      text        not null,
    version        int         not null check (version >= 1),
    effective_from date        not null,
    body           text        not null,  -- canonical JSON, as the digest was taken of
    sha256         bytea       not null check (octet_length(sha256) = 32),
    applied_at     timestamptz not null default clock_timestamp(),
    primary key (programme, version)
);
create trigger programme_version_is_append_only before update or delete on programme_version
    for each row execute function refuse_change();
create trigger programme_version_is_not_truncated before truncate on programme_version
    for each statement execute function refuse_change();

create table agreement_version (
    agreement       text        not null,
    version         int         not null check (version >= 1),
    programme       text        not null,
    vendor          text        not null,
    effective_from  date        not null,
    effective_until date,
    body            text        not null,
    sha256          bytea       not null check (octet_length(sha256) = 32),
    applied_at      timestamptz not null default clock_timestamp(),
    primary key (agreement, version)
);
create index agreement_version_by_vendor on agreement_version (vendor, agreement);
create trigger agreement_version_is_append_only before update or delete on agreement_version
    for each row execute function refuse_change();
create trigger agreement_version_is_not_truncated before truncate on agreement_version
    for each statement execute function refuse_change();

create table metric_number (
    number    int  primary key check (number >= 0),
    programme text not null,
    metric    text not null,
    unique (programme, metric)
);
comment on table metric_number is
    'Frames name a metric by this number for ever, so it is given once and never moves.';
create trigger metric_number_is_append_only before update or delete on metric_number
    for each row execute function refuse_change();
create trigger metric_number_is_not_truncated before truncate on metric_number
    for each statement execute function refuse_change();

create table source_owner (
    source    text primary key,
    programme text not null,
    party     text not null
);
comment on table source_owner is
    'A source reports in one programme and for one party, for ever: its identity and its facts hang on it.';
create trigger source_owner_is_append_only before update or delete on source_owner
    for each row execute function refuse_change();
create trigger source_owner_is_not_truncated before truncate on source_owner
    for each statement execute function refuse_change();

create table api_key (
    prefix     text        primary key,
    sha256     bytea       not null unique check (octet_length(sha256) = 32),
    party      text        not null,
    role       text        not null check (role in ('vendor', 'procurement', 'finance', 'admin', 'probe')),
    label      text        not null,
    created_at timestamptz not null default clock_timestamp()
);
create trigger api_key_is_append_only before update or delete on api_key
    for each row execute function refuse_change();

create table api_key_revocation (
    prefix     text        primary key references api_key,
    reason     text        not null,
    revoked_at timestamptz not null default clock_timestamp()
);
create trigger api_key_revocation_is_append_only before update or delete on api_key_revocation
    for each row execute function refuse_change();
