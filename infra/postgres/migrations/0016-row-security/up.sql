-- The second wall: what a party asks for is read as `earnback_party`, which sees no row of another's.

create table programme_party (
    programme text primary key,
    buyer     text not null
);
comment on table programme_party is
    'Whose a programme is, for row security: a programme keeps its buyer for life.';

create table agreement_party (
    agreement text primary key,
    vendor    text not null,
    buyer     text not null
);
comment on table agreement_party is
    'Between whom an agreement is, for row security: it keeps its programme and vendor for life.';

create function note_programme_party() returns trigger language plpgsql as $$
begin
    insert into programme_party (programme, buyer) values (new.programme, new.body::json ->> 'buyer')
        on conflict do nothing;
    return null;
end $$;
create trigger programme_version_has_a_party after insert on programme_version
    for each row execute function note_programme_party();

create function note_agreement_party() returns trigger language plpgsql as $$
begin
    insert into agreement_party (agreement, vendor, buyer)
        select new.agreement, new.vendor, buyer from programme_party where programme = new.programme
        on conflict do nothing;
    return null;
end $$;
create trigger agreement_version_has_parties after insert on agreement_version
    for each row execute function note_agreement_party();

insert into programme_party (programme, buyer)
    select distinct on (programme) programme, body::json ->> 'buyer'
      from programme_version order by programme, version;
insert into agreement_party (agreement, vendor, buyer)
    select distinct on (agreement) agreement, vendor, buyer
      from agreement_version join programme_party using (programme) order by agreement, version;

do $$
declare
    append_only text;
begin
    foreach append_only in array array['programme_party', 'agreement_party'] loop
        execute format('create trigger %I before update or delete on %I for each row execute function refuse_change()',
                       append_only || '_is_append_only', append_only);
        execute format('create trigger %I before truncate on %I for each statement execute function refuse_change()',
                       append_only || '_is_not_truncated', append_only);
    end loop;
end $$;

-- Who asks stands in the transaction: earnback.party and earnback.role. Without them nothing is seen.
create function party_sees(of_vendor text, of_buyer text) returns boolean language sql stable as $$
    select case current_setting('earnback.role', true)
        when 'admin' then true
        when 'vendor' then of_vendor = current_setting('earnback.party', true)
        when 'procurement' then of_buyer = current_setting('earnback.party', true)
        when 'finance' then of_buyer = current_setting('earnback.party', true)
        else false
    end
$$;

create function party_sees_agreement(name text) returns boolean language sql stable as $$
    select exists (select from agreement_party a where a.agreement = name and party_sees(a.vendor, a.buyer))
        or current_setting('earnback.role', true) = 'admin'
$$;

create function party_sees_source(name text) returns boolean language sql stable as $$
    select exists (select from source_owner o join programme_party using (programme)
                    where o.source = name and party_sees(o.party, buyer))
        or current_setting('earnback.role', true) = 'admin'
$$;

-- What a party sent: the buyer also sees what its vendors sent.
create function party_sees_sender(name text) returns boolean language sql stable as $$
    select case current_setting('earnback.role', true)
        when 'admin' then true
        when 'vendor' then name = current_setting('earnback.party', true)
        when 'procurement' then name = current_setting('earnback.party', true)
            or exists (select from agreement_party a
                        where a.vendor = name and a.buyer = current_setting('earnback.party', true))
            or exists (select from source_owner o join programme_party p using (programme)
                        where o.party = name and p.buyer = current_setting('earnback.party', true))
        else false
    end
$$;

do $$
declare
    guarded record;
begin
    for guarded in
        select * from (values
            ('statement', 'party_sees(vendor, buyer)'),
            ('ledger_entry', 'party_sees(vendor, buyer)'),
            ('dispute', 'party_sees(vendor, buyer)'),
            ('dispute_event',
             'exists (select from dispute d where d.dispute_id = dispute_event.dispute_id)'),
            ('statement_line', 'party_sees_agreement(agreement)'),
            ('settlement_run', 'party_sees_agreement(agreement)'),
            ('settlement_pending', 'party_sees_agreement(agreement)'),
            ('evaluation_received', 'party_sees_agreement(agreement)'),
            ('evaluation', 'party_sees_agreement(agreement)'),
            ('parked_work', 'party_sees(coalesce(vendor, ''''), coalesce(buyer, ''''))'),
            ('quarantine_item', 'party_sees_source(source)'),
            ('intake_refusal', 'party_sees_sender(party)'),
            ('refusal_count', 'party_sees_sender(party)'),
            ('settlement_refused', 'party_sees('''', '''')'),
            ('agreement_party', 'party_sees(vendor, buyer)')
        ) as listed(name, seen)
    loop
        execute format('alter table %I enable row level security', guarded.name);
        execute format('alter table %I force row level security', guarded.name);
        execute format('create policy services on %I using (true) with check (true)', guarded.name);
        execute format('create policy party on %I as restrictive for select to earnback_party using (%s)',
                       guarded.name, guarded.seen);
    end loop;
end $$;
