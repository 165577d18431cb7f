-- Cycles whose totals changed since someone looked at them, but for those that wait for
-- totals; a day asks for every cycle that contains it, looked at or not.
-- reads:  total_usage_new_table, insight_look, dirty_cycle
-- params: customer_id, cycle_start_date, day (each null for no filter)
-- yields: customer_id, cycle_start_date, cycle_end_date, revision, rate_plan, currency,
--         total_cost_micros, provider_cost_micros
SELECT
    t.customer_id,
    t.cycle_start_date,
    t.cycle_end_date,
    t.revision,
    coalesce(t.rate_plan, '') AS rate_plan,
    t.currency,
    t.total_cost_micros,
    t.provider_cost_micros
FROM total_usage_new_table AS t
LEFT JOIN insight_look AS l
    ON
        t.customer_id = l.customer_id
        AND t.cycle_start_date = l.cycle_start_date
        AND l.part = 'cycle'
LEFT JOIN dirty_cycle AS d
    ON
        t.customer_id = d.customer_id
        AND t.cycle_start_date = d.cycle_start_date
WHERE
    d.customer_id IS NULL
    AND (:customer_id IS NULL OR t.customer_id = :customer_id)
    AND (:cycle_start_date IS NULL OR t.cycle_start_date = :cycle_start_date)
    AND (
        l.revision IS NULL
        OR l.revision <> t.revision
        OR (:day IS NOT NULL AND t.cycle_start_date <= :day AND t.cycle_end_date > :day)
    )
ORDER BY t.cycle_start_date, t.cycle_end_date, t.customer_id;
