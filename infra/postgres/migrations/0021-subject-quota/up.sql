-- A party may report so many subjects of a metric that a level judges for each subject.

create table known_subject (
    party    text        not null,
    metric   int         not null,
    subject  text        not null,
    first_at timestamptz not null default clock_timestamp(),
    primary key (party, metric, subject)
);
comment on table known_subject is
    'Which subjects a party has reported of a metric that a level judges for each subject. It counts against EARNBACK_MOST_SUBJECTS.';

create trigger known_subject_is_append_only before update or delete on known_subject
    for each row execute function refuse_change();
create trigger known_subject_is_not_truncated before truncate on known_subject
    for each statement execute function refuse_change();

alter table quarantine_item
    drop constraint quarantine_item_reason_check,
    add check (reason in ('conflict', 'beyond_horizon', 'unreadable', 'refused_correction', 'too_many_subjects'));

drop index quarantine_item_by_time;
create index quarantine_item_by_time on quarantine_item (first_at)
    where reason in ('conflict', 'beyond_horizon', 'unreadable', 'too_many_subjects');

-- A verdict on an event asks how often it was repeated: most frames hold no repetition.
create index fact_frame_with_repetitions on fact_frame (partition) where octet_length(dup_ids) > 0;
