-- Why each revision of one cycle was made, and when its records were read.
-- reads:  total_revision
-- params: customer_id, cycle_start_date
-- yields: revision, reason, read_at
SELECT
    revision,
    reason,
    read_at
FROM total_revision
WHERE
    customer_id = :customer_id
    AND cycle_start_date = :cycle_start_date
ORDER BY revision;
