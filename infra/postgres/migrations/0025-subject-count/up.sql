-- How many subjects each party has of each metric that a level judges for each subject: read by ingest, and shown to the party.

create table subject_count (
    party    text not null,
    metric   int  not null,
    subjects int  not null check (subjects > 0),
    primary key (party, metric)
) with (fillfactor = 50);
comment on table subject_count is
    'How many rows known_subject has of a party and metric. Written in the step that stores them.';

insert into subject_count (party, metric, subjects)
    select party, metric, count(*) from known_subject group by party, metric;

alter table subject_count enable row level security;
alter table subject_count force row level security;
create policy services on subject_count using (true) with check (true);
create policy party on subject_count as restrictive for select to earnback_party
    using (party_sees_sender(party));
