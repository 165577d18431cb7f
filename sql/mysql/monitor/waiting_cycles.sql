-- How many cycles wait for totals, and how long the oldest has.
-- reads:  dirty_cycle
-- params: none
-- yields: cycle_count, age_s
SELECT
    count(*) AS cycle_count,
    timestampdiff(SECOND, min(marked_at), CURRENT_TIMESTAMP(6)) AS age_s
FROM dirty_cycle;
