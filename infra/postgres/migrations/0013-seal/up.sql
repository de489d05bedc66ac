-- What is numbered for all parties together goes out under ids that tell no number.

create table seal_key (
    only_one boolean primary key default true check (only_one),
    key      bytea   not null check (octet_length(key) = 32)
);
insert into seal_key (key)
    values (sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')));
comment on table seal_key is
    'Made once. The settlement API seals row numbers and cursors with it; another key makes old ids unknown.';

create trigger seal_key_is_append_only before update or delete on seal_key
    for each row execute function refuse_change();
create trigger seal_key_is_not_truncated before truncate on seal_key
    for each statement execute function refuse_change();
