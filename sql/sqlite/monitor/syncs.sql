-- How many syncs were due in the last ten minutes, and when the newest was.
-- reads:  sync_task
-- params: none
-- yields: sync_count, last_sync
SELECT
    count(*) AS sync_count,
    max(created_at) AS last_sync
FROM sync_task
WHERE created_at > strftime('%Y-%m-%d %H:%M:%f', 'now', '-10 minutes');
