-- Who may do what in the database: all of it, for every table and view. Applied after the migrations, each time; what is
-- not listed here is revoked. Roles are made in roles.sql; a service logs in as a member of its role.

revoke all on all tables in schema public
    from earnback_party, earnback_relay, earnback_ingest, earnback_evaluator, earnback_settlement;
revoke all on all sequences in schema public
    from earnback_party, earnback_relay, earnback_ingest, earnback_evaluator, earnback_settlement;

-- What every service knows: contracts, keys' digests, whose a source is.
grant select on catalogue_revision, programme_version, agreement_version, metric_number, source_owner, api_key,
    api_key_revocation, programme_party, agreement_party, schema_migration, four_eyes_request,
    four_eyes_answer, four_eyes_done
    to earnback_ingest, earnback_evaluator, earnback_settlement;

-- The relay: publishes what the outbox holds.
grant select, delete on outbox to earnback_relay;
grant select on outbox_head to earnback_relay;
grant select, insert, update, delete on relay_lease to earnback_relay;
grant select, insert, update on relay_position to earnback_relay;

-- Whoever enqueues leaves out what was published before a backup was restored.
grant select, update on outbox_taken_over to earnback_ingest, earnback_evaluator, earnback_settlement;

-- Ingest: refuses, and looks up what counts already.
grant select on fact_frame, frame_day, source_latest, subject_count, known_subject to earnback_ingest;
grant select, insert, delete on intake_refusal to earnback_ingest;
grant usage on sequence quarantine_item_number_seq to earnback_ingest;
grant select, insert, update, delete on refusal_count to earnback_ingest;
grant select, insert, update on refusal_read to earnback_ingest;
grant insert on four_eyes_request, four_eyes_done, answer_sender, audit_entry to earnback_ingest;
grant insert on outbox to earnback_ingest;
grant select, insert, update on outbox_head to earnback_ingest;

-- The evaluator: stores facts, counts, closes.
grant select, insert on fact_frame, frame_day, evaluation, correction_verdict to earnback_evaluator;
grant select, insert, update on progress, tally, source_latest, close_request, close_alarm, touch_scan, parked_work,
    linked_fact, occurrence to earnback_evaluator;
grant select, insert on linked_metric, linked_agreement, linked_answer to earnback_evaluator;
grant insert on audit_entry to earnback_evaluator;
grant select, update, delete on link_backlog, occurrence_backlog to earnback_evaluator;
grant select, insert, update, delete on touched, quarantine_item, refusal_count to earnback_evaluator;
grant select, insert on known_subject to earnback_evaluator;
grant select, insert, update on subject_count to earnback_evaluator;
grant select, insert, update on next_close, counted_period to earnback_evaluator;
grant select, insert, delete on counted_span to earnback_evaluator;
grant select, delete on intake_refusal to earnback_evaluator;
grant select on applied_correction to earnback_evaluator;
grant insert on outbox to earnback_evaluator;
grant select, insert, update on outbox_head to earnback_evaluator;
grant select, insert on idempotency to earnback_evaluator;

-- Settlement: settles, books, answers, applies agreements.
grant select, insert on agreement_version, agreement_party, evaluation_received, settlement_refused, version_taken_up,
    programme_taken_up, settlement_run, statement, statement_line, ledger_entry, account, account_balance,
    dispute_event, withholding, idempotency, audit_entry, four_eyes_request, four_eyes_answer, four_eyes_done
    to earnback_settlement;
grant select on answer_sender to earnback_settlement;
grant update on catalogue_revision to earnback_settlement;
grant select, insert, update on progress, parked_work, dispute to earnback_settlement;
grant select, insert, update, delete on settlement_pending, settlement_checkpoint, proposal to earnback_settlement;
grant select, insert, delete on open_dispute to earnback_settlement;
grant select, update on book_head to earnback_settlement;
grant select on latest_statement, posted_line, seal_key, subject_count to earnback_settlement;
grant insert on outbox to earnback_settlement;
grant select, insert, update on outbox_head to earnback_settlement;

-- A party, through the settlement API: rows that are its own, by row security.
grant select on statement, statement_line, ledger_entry, account, account_balance, dispute, dispute_event, withholding,
    open_dispute, settlement_run, settlement_pending, evaluation_received, parked_work, quarantine_item, intake_refusal,
    refusal_count, settlement_refused,
    agreement_party, programme_party, source_owner, applied_correction, book_head, version_taken_up,
    audit_entry, four_eyes_request, four_eyes_answer, four_eyes_done, proposal, subject_count
    to earnback_party;
