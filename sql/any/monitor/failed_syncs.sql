-- Providers whose newest sync failed.
-- reads:  sync_task
-- params: none
-- yields: provider, id, message, created_at
WITH newest AS (
    SELECT
        provider,
        max(id) AS id
    FROM sync_task
    WHERE status IN ('done', 'failed')
    GROUP BY provider
)

SELECT
    t.provider,
    t.id,
    t.message,
    t.created_at
FROM sync_task AS t
INNER JOIN newest ON t.id = newest.id
WHERE t.status = 'failed'
ORDER BY t.provider;
