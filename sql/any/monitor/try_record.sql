-- Prove that records can be written; the caller undoes it.
-- writes: call_detail_record
-- params: none
INSERT INTO call_detail_record (
    customer_id,
    call_date,
    import_id,
    member,
    line_no,
    provider,
    layout,
    subscriber,
    other_kind,
    direction,
    usage_type,
    started_at_utc,
    currency,
    flags,
    fingerprint
)
VALUES (
    0,
    '1970-01-01 00:00:00',
    0,
    '',
    0,
    '',
    '',
    '',
    'none',
    'out',
    'voice',
    '1970-01-01 00:00:00',
    'EUR',
    '',
    0
);
