-- What is disputed is not due, where the contract says so.

alter table dispute
    add column withholds_minor bigint check (withholds_minor >= 0),  -- at most; null: nothing is withheld
    add column disputed_minor  bigint,                               -- what the line came to in that revision
    add column currency        char(3),
    add check ((withholds_minor is null) = (disputed_minor is null)),
    add check ((withholds_minor is null) = (currency is null)),
    add check (withholds_minor is null or line is not null);

create table withholding (
    dispute_id       uuid        not null references dispute,
    number           int         not null check (number >= 1),
    agreement        text        not null,
    period           text        not null,
    line             text        not null,
    vendor           text        not null,
    buyer            text        not null,
    currency         char(3)     not null,
    because          text        not null check (because in ('raised', 'revised', 'ended')),
    line_minor       bigint      not null,  -- what the line came to then
    withheld_minor   bigint      not null,  -- from then on; signed as the line is
    difference_minor bigint      not null check (difference_minor <> 0),
    recorded_at      timestamptz not null default clock_timestamp(),
    primary key (dispute_id, number),
    check (abs(withheld_minor) <= abs(line_minor)),
    check (because <> 'ended' or withheld_minor = 0)
);
create index withholding_by_period on withholding (agreement, period);
create index withholding_by_vendor on withholding (vendor, buyer);
comment on table withholding is
    'How much of disputed lines is not due: a row for each change. The sum of the differences is withheld now.';

create trigger withholding_is_append_only before update or delete on withholding
    for each row execute function refuse_change();
create trigger withholding_is_not_truncated before truncate on withholding
    for each statement execute function refuse_change();

alter table withholding enable row level security;
alter table withholding force row level security;
create policy services on withholding using (true) with check (true);
create policy party on withholding as restrictive for select to earnback_party
    using (party_sees(vendor, buyer));
