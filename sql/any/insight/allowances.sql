-- What allowances gave some customers in a cycle.
-- reads:  total_allowance
-- params: customer_ids, cycle_start_date
-- yields: customer_id, rate_plan, allowance, subscriber, unit, is_once, available, used
SELECT
    customer_id,
    rate_plan,
    allowance,
    subscriber,
    unit,
    is_once,
    available,
    used
FROM total_allowance
WHERE
    customer_id IN :customer_ids
    AND cycle_start_date = :cycle_start_date
ORDER BY customer_id, rate_plan, allowance, subscriber;
