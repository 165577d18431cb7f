-- Why usage of one cycle has no price.
-- reads:  total_unrated_reason
-- params: customer_id, cycle_start_date
-- yields: customer_id, cycle_start_date, reason_no, usage_type, unrated_code,
--         unrated_reason, cdr_count, quantity
SELECT
    customer_id,
    cycle_start_date,
    reason_no,
    usage_type,
    unrated_code,
    unrated_reason,
    cdr_count,
    quantity
FROM total_unrated_reason
WHERE
    customer_id = :customer_id
    AND cycle_start_date = :cycle_start_date
ORDER BY reason_no;
