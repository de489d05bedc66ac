-- The roles of earnback in a cluster, made once. Whoever applies this needs CREATEROLE, or finds them made.
-- They cannot log in: each service gets a login of its own that is a member of its role.

do $$
declare
    name text;
begin
    foreach name in array array[
        'earnback_party', 'earnback_relay', 'earnback_ingest', 'earnback_evaluator', 'earnback_settlement'
    ] loop
        if not exists (select from pg_roles where rolname = name) then
            begin
                execute format('create role %I nologin', name);
            exception when duplicate_object or unique_violation then
                null;  -- another database of the cluster is prepared at the same time
            end;
        end if;
    end loop;
end $$;

-- Who may become whom: (role, member, whether it has the role's rights without becoming it).
do $$
declare
    granted record;
begin
    for granted in
        select * from (values
            ('earnback_relay', 'earnback_evaluator', true),
            ('earnback_relay', 'earnback_settlement', true),
            ('earnback_party', 'earnback_settlement', false),
            ('earnback_party', current_user::text, false)
        ) as wanted(role, member, inherits)
    loop
        if not exists (
            select from pg_auth_members m
              join pg_roles r on r.oid = m.roleid
              join pg_roles u on u.oid = m.member
             where r.rolname = granted.role and u.rolname = granted.member and m.set_option
        ) then
            begin
                execute format('grant %I to %I with inherit %s, set true', granted.role, granted.member,
                               case when granted.inherits then 'true' else 'false' end);
            exception when unique_violation then
                null;
            end;
        end if;
    end loop;
end $$;
