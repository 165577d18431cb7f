-- The newest tasks first.
-- reads:  sync_task
-- params: most
-- yields: id, provider, status, message, is_begun, is_ended
SELECT
    id,
    provider,
    status,
    message,
    started_at IS NOT NULL AS is_begun,
    finished_at IS NOT NULL AS is_ended
FROM sync_task
ORDER BY id DESC
LIMIT :most;
