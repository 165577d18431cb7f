-- How many records an import keeps from counting.
-- reads:  superseded_record
-- params: import_id
-- yields: record_count
SELECT count(*) AS record_count
FROM superseded_record
WHERE superseded_by_import_id = :import_id;
