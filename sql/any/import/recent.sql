-- The newest imports first.
-- reads:  import_queue
-- params: most
-- yields: rows of imports
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
ORDER BY id DESC
LIMIT :most;
