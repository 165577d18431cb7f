-- What cycles of some customers used of one-off allowances.
-- reads:  total_allowance
-- params: customer_ids
-- yields: customer_id, cycle_start_date, rate_plan, allowance, subscriber, used
SELECT
    customer_id,
    cycle_start_date,
    rate_plan,
    allowance,
    subscriber,
    used
FROM total_allowance
WHERE
    customer_id IN :customer_ids
    AND is_once = 1
ORDER BY customer_id, cycle_start_date, rate_plan, allowance, subscriber;
