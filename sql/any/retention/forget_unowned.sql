-- Take away who a record of an import was delivered for, when it waited too long.
-- writes: suspended_record
-- params: import_id, before
UPDATE suspended_record
SET
    raw = '',
    subscriber = '',
    other = NULL,
    record_id = NULL,
    account = NULL,
    contract = NULL,
    reason_code = 'past_its_term',
    reason = 'it found no owner within its term; whose it was is not kept'
WHERE
    import_id = :import_id
    AND started_at_utc < :before
    AND subscriber <> '';
