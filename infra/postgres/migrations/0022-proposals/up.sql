-- What was proposed and is listed by the newest evaluation of a period, so that lists read an index and no evaluations.

create table proposal (
    agreement   text        not null,
    number      bigint      generated always as identity,
    proposal_id uuid        not null unique,
    source      text        not null,  -- identity of the event that proposes
    event_id    text        not null,
    evaluated   text        not null,  -- the settlement period whose evaluation listed it last
    programme   text        not null,
    vendor      text,                  -- the agreement's; null: another vendor proposes, and this one does not see it
    buyer       text        not null,
    party       text        not null,  -- who proposes
    period      text        not null,  -- that it is for
    state       text        not null check (state in ('open', 'accepted', 'rejected')),
    content     text        not null,  -- JSON, as the evaluation has it
    first_at    timestamptz not null default clock_timestamp(),
    changed_at  timestamptz not null default clock_timestamp(),
    primary key (agreement, number),
    unique (agreement, source, event_id)
);
create index proposal_by_period on proposal (agreement, period, number);
create index proposal_open on proposal (agreement, number) where state = 'open';
create index proposal_by_evaluation on proposal (agreement, evaluated);
comment on table proposal is
    'What the newest evaluations list as proposed. One that is taken back is no longer listed; the evaluations keep it.';

alter table proposal enable row level security;
alter table proposal force row level security;
create policy services on proposal using (true) with check (true);
create policy party on proposal as restrictive for select to earnback_party
    using (party_sees(coalesce(vendor, ''), buyer));
