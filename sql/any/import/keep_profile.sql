-- Which profile reads a delivery, before any of it is stored.
-- writes: import_queue
-- params: import_id, profile_version, profile_sha256
UPDATE import_queue
SET
    profile_version = :profile_version,
    profile_sha256 = :profile_sha256
WHERE id = :import_id;
