-- Every customer.
-- reads:  customer
-- params: none
-- yields: customer_id, name, timezone, cycle_day, currency, details
SELECT
    customer_id,
    name,
    timezone,
    cycle_day,
    currency,
    details
FROM customer
ORDER BY customer_id;
