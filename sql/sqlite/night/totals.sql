-- How many totals were written since a night began, and what they add up to.
-- reads:  total_usage_new_table
-- params: since_s (seconds since 1970, database clock)
-- yields: totals, customers, cdr_count, unrated_count, total_cost_micros
SELECT
    count(*) AS totals,
    count(DISTINCT t.customer_id) AS customers,
    coalesce(sum(t.cdr_count), 0) AS cdr_count,
    coalesce(sum(t.unrated_count), 0) AS unrated_count,
    coalesce(sum(t.total_cost_micros), 0) AS total_cost_micros
FROM total_usage_new_table AS t
WHERE cast(strftime('%s', t.updated_at) AS integer) >= :since_s;
