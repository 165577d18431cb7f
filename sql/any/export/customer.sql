-- A customer as reference data has it.
-- reads:  customer
-- params: customer_id
-- yields: customer_id, name, timezone, cycle_day, currency, details
SELECT
    customer_id,
    name,
    timezone,
    cycle_day,
    currency,
    details
FROM customer
WHERE customer_id = :customer_id
ORDER BY customer_id;
