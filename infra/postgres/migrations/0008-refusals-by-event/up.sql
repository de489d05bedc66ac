-- What the doors set aside under the name of one event is asked for with every verdict.

create index intake_refusal_by_event on intake_refusal (source, event_id);
