-- Who changed what, when and why: one row for each change, written in its own transaction.

create table audit_entry (
    number      bigint      generated always as identity primary key,  -- follows the order of commits
    recorded_at timestamptz not null default clock_timestamp(),
    action      text        not null check (action <> ''),
    key_prefix  text,                  -- null: no key was used
    party       text,                  -- whose key it was
    role        text        not null,  -- of the key; command or installation where there was none
    person      text        check (person <> ''),
    programme   text,
    agreement   text,
    period      text,
    vendor      text,                  -- the vendor that it concerns; null: none alone
    buyer       text,                  -- the buyer that it concerns; null: only the operator reads it
    about       text        not null,  -- version, prefix of a key, number, run or id
    reason      text        check (reason <> '')
);
create index audit_entry_by_vendor on audit_entry (vendor, number);
create index audit_entry_by_buyer on audit_entry (buyer, number);
create index audit_entry_by_programme on audit_entry (programme, number) where vendor is null;
comment on table audit_entry is
    'Every change with who made it, when and why. Rows are never changed or removed.';

create trigger audit_entry_is_append_only before update or delete on audit_entry
    for each row execute function refuse_change();
create trigger audit_entry_is_not_truncated before truncate on audit_entry
    for each statement execute function refuse_change();

-- A version of a programme concerns every vendor with an agreement there; a party does not read agreements' texts.
create function party_works_in(name text) returns boolean
    language sql stable security definer set search_path = public, pg_temp as $$
    select current_setting('earnback.role', true) = 'vendor'
       and exists (select from agreement_version a
                    where a.programme = name and a.vendor = current_setting('earnback.party', true))
$$;

alter table audit_entry enable row level security;
alter table audit_entry force row level security;
create policy services on audit_entry using (true) with check (true);
create policy party on audit_entry as restrictive for select to earnback_party
    using (party_sees(coalesce(vendor, ''), coalesce(buyer, '')) or (vendor is null and party_works_in(programme)));
