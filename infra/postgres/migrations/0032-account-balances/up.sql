-- What each account stands at after each posting: a balance is read, not summed over the whole book.

create table account (
    vendor   text    not null,
    buyer    text    not null,
    currency char(3) not null,
    account  text    not null,
    primary key (vendor, buyer, currency, account)
);
comment on table account is 'The accounts that something was booked on, between a vendor and a buyer in a currency.';
create index account_by_buyer on account (buyer);

create table account_balance (
    vendor      text        not null,
    buyer       text        not null,
    currency    char(3)     not null,
    account     text        not null,
    position    bigint      not null,  -- of the last entry of the posting
    minor_units numeric     not null,  -- debits minus credits, of all entries up to there
    recorded_at timestamptz not null,
    primary key (vendor, buyer, currency, account, position),
    foreign key (vendor, buyer, currency, account) references account
);
comment on table account_balance is
    'Debits minus credits after each posting. Written with the entries, under the lock of the book: the sum of ledger_entry at '
    'each position, which ''earnback verify'' compares.';

insert into account
    select distinct vendor, buyer, currency, side.account
      from ledger_entry cross join lateral (values (debit_account), (credit_account)) as side(account);
insert into account_balance
    select vendor, buyer, currency, side.account, position,
           sum(side.amount) over (partition by vendor, buyer, currency, side.account order by position), recorded_at
      from ledger_entry
     cross join lateral (values (debit_account, minor_units), (credit_account, -minor_units)) as side(account, amount);

do $$
declare
    kept text;
begin
    foreach kept in array array['account', 'account_balance'] loop
        execute format('create trigger %I before update or delete on %I for each row execute function refuse_change()',
                       kept || '_is_append_only', kept);
        execute format('create trigger %I before truncate on %I for each statement execute function refuse_change()',
                       kept || '_is_not_truncated', kept);
        execute format('alter table %I enable row level security', kept);
        execute format('alter table %I force row level security', kept);
        execute format('create policy services on %I using (true) with check (true)', kept);
        execute format('create policy party on %I as restrictive for select to earnback_party using (party_sees(vendor, buyer))',
                       kept);
    end loop;
end $$;
