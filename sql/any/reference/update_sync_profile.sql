-- Change a feed; it keeps its id and the time of its last sync.
-- writes: sync_profile
-- params: provider, enabled, every_minutes, settings
UPDATE sync_profile
SET
    enabled = :enabled,
    every_minutes = :every_minutes,
    settings = :settings
WHERE provider = :provider;
