-- One import.
-- reads:  import_queue
-- params: import_id
-- yields: the row of the import
SELECT
    id,
    provider,
    locked,
    complete,
    status,
    message,
    file_name,
    sha256,
    size_bytes,
    account,
    period,
    sequence,
    records,
    loaded,
    duplicates,
    conflicts,
    rejected,
    suspended,
    ignored,
    cost_micros,
    duration_ms,
    fence,
    profile_sha256,
    control_text
FROM import_queue
WHERE id = :import_id;
