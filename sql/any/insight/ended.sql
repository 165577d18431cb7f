-- Customers whose cycle of these days is over and was not looked at as it stands, with
-- its totals; those whose totals wait to be computed are left out.
-- reads:  customer, total_usage_new_table, insight_look, dirty_cycle
-- params: cycle_day, cycle_start_date
-- yields: customer_id, revision (0 without totals), rate_plan, currency,
--         total_cost_micros, provider_cost_micros
SELECT
    c.customer_id,
    coalesce(t.revision, 0) AS revision,
    coalesce(t.rate_plan, '') AS rate_plan,
    coalesce(t.currency, c.currency) AS currency,
    coalesce(t.total_cost_micros, 0) AS total_cost_micros,
    coalesce(t.provider_cost_micros, 0) AS provider_cost_micros
FROM customer AS c
LEFT JOIN total_usage_new_table AS t
    ON
        c.customer_id = t.customer_id
        AND t.cycle_start_date = :cycle_start_date
LEFT JOIN insight_look AS l
    ON
        c.customer_id = l.customer_id
        AND l.cycle_start_date = :cycle_start_date
        AND l.part = 'ended'
LEFT JOIN dirty_cycle AS d
    ON
        c.customer_id = d.customer_id
        AND d.cycle_start_date = :cycle_start_date
WHERE
    c.cycle_day = :cycle_day
    AND d.customer_id IS NULL
    AND (l.revision IS NULL OR l.revision <> coalesce(t.revision, 0))
ORDER BY c.customer_id;
