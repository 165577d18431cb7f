-- Records that still wait for an owner and began before a day, by import.
-- reads:  suspended_record
-- params: before
-- yields: import_id, record_count
SELECT
    import_id,
    count(*) AS record_count
FROM suspended_record
WHERE
    started_at_utc < :before
    AND subscriber <> ''
GROUP BY import_id
ORDER BY import_id;
