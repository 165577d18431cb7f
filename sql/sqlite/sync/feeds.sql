-- Every feed, and when it was last fetched, in whole seconds since 1970.
-- reads:  sync_profile
-- params: none
-- yields: id, provider, enabled, every_minutes, last_sync_s
SELECT
    id,
    provider,
    enabled,
    every_minutes,
    cast(strftime('%s', last_sync_at) AS integer) AS last_sync_s
FROM sync_profile
ORDER BY id;
