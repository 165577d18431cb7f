-- Every feed to fetch.
-- reads:  sync_profile
-- params: none
-- yields: id, provider, enabled, every_minutes, last_sync_at, settings
SELECT
    id,
    provider,
    enabled,
    every_minutes,
    last_sync_at,
    settings
FROM sync_profile
ORDER BY provider;
