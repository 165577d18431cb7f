-- What is kept of one cycle whose records were removed.
-- reads:  retained_aggregate
-- params: customer_id, cycle_start_date
-- yields: record_count, cost_micros
SELECT
    coalesce(sum(record_count), 0) AS record_count,
    coalesce(sum(cost_micros), 0) AS cost_micros
FROM retained_aggregate
WHERE
    customer_id = :customer_id
    AND cycle_start_date = :cycle_start_date
    AND kind = 'call';
