-- The days on which complete deliveries of each provider came; feeds that were switched
-- off are left out.
-- reads:  import_queue, sync_profile
-- params: none
-- yields: provider, day (database clock)
SELECT DISTINCT
    q.provider,
    date(q.created_at) AS day
FROM import_queue AS q
LEFT JOIN sync_profile AS p ON q.provider = p.provider
WHERE
    q.complete = 1
    AND coalesce(p.enabled, 1) = 1
ORDER BY q.provider, day;
