-- How many records of an import were removed after their term.
-- reads:  retained_aggregate
-- params: import_id
-- yields: record_count
SELECT coalesce(sum(record_count), 0) AS record_count
FROM retained_aggregate
WHERE import_id = :import_id;
