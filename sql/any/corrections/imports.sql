-- Imports as operators look at them, the newest first.
-- reads:  import_queue
-- params: status (NULL = all), provider (NULL = all), limit_rows
-- yields: id, type, provider, file_name, sha256, period, sequence, status, locked, complete, message, owner,
--         attempts, records, loaded, duplicates, conflicts, rejected, suspended, ignored,
--         cost_micros, created_at, updated_at
SELECT
    id,
    type,
    provider,
    file_name,
    sha256,
    period,
    sequence,
    status,
    locked,
    complete,
    message,
    owner,
    attempts,
    records,
    loaded,
    duplicates,
    conflicts,
    rejected,
    suspended,
    ignored,
    cost_micros,
    created_at,
    updated_at
FROM import_queue
WHERE
    (:status IS NULL OR status = :status)
    AND (:provider IS NULL OR provider = :provider)
ORDER BY id DESC
LIMIT :limit_rows;
