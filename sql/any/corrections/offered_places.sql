-- Where the records stand that one import set aside because of another one's.
-- reads:  duplicate_record, conflict_record
-- params: import_id, against_import_id
-- yields: member, line_no, kind, customer_id, call_date, fingerprint, cost_micros
SELECT
    member,
    line_no,
    'duplicate' AS kind,
    customer_id,
    call_date,
    fingerprint,
    cost_micros
FROM duplicate_record
WHERE
    import_id = :import_id
    AND against_import_id = :against_import_id
UNION ALL
SELECT
    member,
    line_no,
    'conflict',
    customer_id,
    call_date,
    fingerprint,
    cost_micros
FROM conflict_record
WHERE
    import_id = :import_id
    AND against_import_id = :against_import_id;
