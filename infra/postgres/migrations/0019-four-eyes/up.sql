-- Four-eyes: what one asks for and another agrees to.

create table four_eyes_request (
    request_id uuid        primary key,
    position   bigint      generated always as identity unique,  -- follows the order of commits
    kind       text        not null check (kind in ('decision', 'close', 'restatement', 'agreement', 'programme', 'key')),
    party      text        not null,  -- whose act it is
    programme  text,
    agreement  text,
    period     text,
    about      text        not null,
    digest     bytea       not null,  -- of what is asked for; of a decision, identity and payload of the event
    content    text        not null,  -- JSON
    key_prefix text,                  -- null: no key was used
    key_party  text,
    role       text        not null,
    person     text        check (person <> ''),
    asked_at   timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null
);
create index four_eyes_request_by_party on four_eyes_request (party, position);
create index four_eyes_request_by_digest on four_eyes_request (digest);

create table four_eyes_answer (
    request_id  uuid        primary key references four_eyes_request,
    agreed      boolean     not null,
    reason      text        not null,
    key_prefix  text        not null,
    key_party   text        not null,
    role        text        not null,
    person      text        check (person <> ''),
    answered_at timestamptz not null default clock_timestamp()
);

create table four_eyes_done (
    request_id uuid        primary key references four_eyes_answer,
    outcome    text        not null,  -- where what it came to is found
    done_at    timestamptz not null default clock_timestamp()
);

do $$
declare
    kept text;
begin
    foreach kept in array array['four_eyes_request', 'four_eyes_answer', 'four_eyes_done'] loop
        execute format('create trigger %I before update or delete on %I for each row execute function refuse_change()',
                       kept || '_is_append_only', kept);
        execute format('create trigger %I before truncate on %I for each statement execute function refuse_change()',
                       kept || '_is_not_truncated', kept);
        execute format('alter table %I enable row level security', kept);
        execute format('alter table %I force row level security', kept);
        execute format('create policy services on %I using (true) with check (true)', kept);
    end loop;
end $$;
create policy party on four_eyes_request as restrictive for select to earnback_party
    using (party_sees(party, party));
create policy party on four_eyes_answer as restrictive for select to earnback_party
    using (exists (select from four_eyes_request r where r.request_id = four_eyes_answer.request_id));
create policy party on four_eyes_done as restrictive for select to earnback_party
    using (exists (select from four_eyes_request r where r.request_id = four_eyes_done.request_id));
