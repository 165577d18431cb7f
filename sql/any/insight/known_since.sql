-- The first day of the oldest cycle with totals.
-- reads:  total_usage_new_table
-- params: none
-- yields: first_day (null without totals)
SELECT min(cycle_start_date) AS first_day
FROM total_usage_new_table;
