-- With which key an answer to a proposal was sent, and by whom: no event says so.

create table answer_sender (
    source     text        not null,  -- identity of the event that answers
    event_id   text        not null,
    key_prefix text        not null,
    party      text        not null,  -- whose key it was
    role       text        not null,
    person     text        check (person <> ''),
    sent_at    timestamptz not null default clock_timestamp(),
    primary key (source, event_id)
);
comment on table answer_sender is 'Who first sent an answer over HTTP. Written before the answer is, and never changed.';

create trigger answer_sender_is_append_only before update or delete on answer_sender
    for each row execute function refuse_change();
create trigger answer_sender_is_not_truncated before truncate on answer_sender
    for each statement execute function refuse_change();
