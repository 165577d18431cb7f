-- When a sync was due last, ever, and how long ago that is.
-- reads:  sync_task
-- params: none
-- yields: last_sync, age_s
SELECT
    max(created_at) AS last_sync,
    cast(strftime('%s', 'now') AS integer)
    - cast(strftime('%s', max(created_at)) AS integer) AS age_s
FROM sync_task;
