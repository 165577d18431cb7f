-- Records that an import replaced and that are history since.
-- reads:  superseded_record
-- params: import_id
-- yields: id, fingerprint
SELECT
    id,
    fingerprint
FROM superseded_record
WHERE superseded_by_import_id = :import_id
ORDER BY id;
