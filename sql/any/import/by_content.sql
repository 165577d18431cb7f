-- The import of a file, known by its content.
-- reads:  import_queue
-- params: provider, sha256
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
WHERE
    provider = :provider
    AND sha256 = :sha256;
