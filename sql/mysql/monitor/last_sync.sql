-- When a sync was due last, ever, and how long ago that is.
-- reads:  sync_task
-- params: none
-- yields: last_sync, age_s
SELECT
    max(created_at) AS last_sync,
    timestampdiff(SECOND, max(created_at), CURRENT_TIMESTAMP(6)) AS age_s
FROM sync_task;
