-- Which customer has which rate plan, and when; half-open, null is open.
-- reads:  customer_rate_plan
-- params: none
-- yields: customer_id, rate_plan, valid_from, valid_to
SELECT
    customer_id,
    rate_plan,
    valid_from,
    valid_to
FROM customer_rate_plan
ORDER BY customer_id, valid_from;
