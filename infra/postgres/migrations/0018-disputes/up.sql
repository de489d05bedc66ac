-- Both parties dispute, and not only lines: also figures, measurements, and that there are none.

alter table dispute
    alter column revision drop not null,
    alter column line drop not null,
    add column raised_by text not null default 'vendor' check (raised_by in ('vendor', 'buyer')),
    add column about     text,     -- canonical JSON of a figure, a measurement or an absence; null: a line
    add column metric    text,
    add column effect    text,     -- exact, in main units
    add column error     boolean,
    add check ((line is null) <> (about is null)),
    add check (line is null or revision is not null);
alter table dispute alter column raised_by drop default;

-- What is not decided yet, so that it is found without reading all that ever was. One about each thing at a time.
create table open_dispute (
    dispute_id uuid primary key references dispute,
    agreement  text not null,
    period     text not null,
    thing      text not null,  -- what it is about
    unique (agreement, period, thing)
);
insert into open_dispute (dispute_id, agreement, period, thing)
    select dispute_id, agreement, period, 'line ' || line
      from dispute d
     where (select state from dispute_event e where e.dispute_id = d.dispute_id order by number desc limit 1)
           in ('raised', 'under_review');

alter table open_dispute enable row level security;
alter table open_dispute force row level security;
create policy services on open_dispute using (true) with check (true);
create policy party on open_dispute as restrictive for select to earnback_party
    using (party_sees_agreement(agreement));
