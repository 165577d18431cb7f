-- How many duplicate records there are, by reason.
-- reads:  duplicate_record
-- params: first_import_id, last_import_id
-- yields: reason_code, record_count
SELECT
    reason_code,
    count(*) AS record_count
FROM duplicate_record
WHERE import_id BETWEEN :first_import_id AND :last_import_id
GROUP BY reason_code
ORDER BY reason_code;
