-- Add a feed that was never synced.
-- writes: sync_profile
-- params: provider, enabled, every_minutes, settings
INSERT INTO sync_profile (provider, enabled, every_minutes, settings)
VALUES (:provider, :enabled, :every_minutes, :settings);
