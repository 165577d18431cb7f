-- What the allowances of one cycle gave, and what was available at its start.
-- reads:  total_allowance
-- params: customer_id, cycle_start_date
-- yields: customer_id, cycle_start_date, rate_plan, allowance, subscriber, unit, is_once,
--         size, available, used
SELECT
    customer_id,
    cycle_start_date,
    rate_plan,
    allowance,
    subscriber,
    unit,
    is_once,
    size,
    available,
    used
FROM total_allowance
WHERE
    customer_id = :customer_id
    AND cycle_start_date = :cycle_start_date
ORDER BY rate_plan, allowance, subscriber;
