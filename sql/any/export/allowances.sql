-- What the allowances of a customer's cycles gave.
-- reads:  total_allowance
-- params: customer_id
-- yields: cycle_start_date, rate_plan, allowance, subscriber, unit, is_once, size,
--         available, used
SELECT
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
WHERE customer_id = :customer_id
ORDER BY cycle_start_date, rate_plan, allowance, subscriber;
