-- How many cycles wait for totals, and how long the oldest has.
-- reads:  dirty_cycle
-- params: none
-- yields: cycle_count, age_s
SELECT
    count(*) AS cycle_count,
    cast(strftime('%s', 'now') AS integer)
    - cast(strftime('%s', min(marked_at)) AS integer) AS age_s
FROM dirty_cycle;
