-- Remove a feed that is no longer listed; its sync tasks stay.
-- writes: sync_profile
-- params: provider
DELETE FROM sync_profile
WHERE provider = :provider;
