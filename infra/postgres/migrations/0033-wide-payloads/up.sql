-- The hash of a fact's payload has 128 bits; of facts stored before, 64.

alter table fact_frame drop constraint fact_frame_check1;
alter table fact_frame add constraint fact_frame_hashes_match_rows
    check (octet_length(ids) = 16 * n and octet_length(payloads) in (8 * n, 16 * n));
comment on column fact_frame.payloads is
    '16 bytes a fact, big-endian, in the frame''s order; the last 8 are 0 where its hash has 64 bits.'
    ' 8 bytes a fact in frames stored before there were 16';
