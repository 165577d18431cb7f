-- What allowances gave in the cycles of a page of customers.
-- reads:  total_allowance
-- params: customer_ids, since, until (half-open bounds of the cycle's start)
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
    customer_id IN :customer_ids
    AND cycle_start_date >= :since
    AND cycle_start_date < :until
ORDER BY customer_id, cycle_start_date, rate_plan, allowance, subscriber;
