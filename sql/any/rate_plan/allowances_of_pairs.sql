-- What the allowances of the asked cycles gave, as it is stored now.
-- reads:  totals_pair, total_allowance
-- params: none
-- yields: customer_id, cycle_start_date, rate_plan, allowance, subscriber, unit, is_once,
--         size, available, used
SELECT
    a.customer_id,
    a.cycle_start_date,
    a.rate_plan,
    a.allowance,
    a.subscriber,
    a.unit,
    a.is_once,
    a.size,
    a.available,
    a.used
FROM totals_pair AS p
INNER JOIN total_allowance AS a
    ON
        p.customer_id = a.customer_id
        AND p.cycle_start_date = a.cycle_start_date
ORDER BY
    a.customer_id, a.cycle_start_date, a.rate_plan, a.allowance, a.subscriber;
