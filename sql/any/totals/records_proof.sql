-- How many records "records" must yield, and what they cost together.
-- reads:  call_detail_record
-- params: customer_ids, cycle_start_date, cycle_end_date, unready_ids
-- yields: record_count, cost_micros
SELECT
    count(*) AS record_count,
    coalesce(sum(cost_micros), 0) AS cost_micros
FROM call_detail_record
WHERE
    customer_id IN :customer_ids
    AND call_date >= :cycle_start_date
    AND call_date < :cycle_end_date
    AND import_id NOT IN :unready_ids;
