-- Which rate plans a customer has and when.
-- reads:  customer_rate_plan
-- params: customer_id
-- yields: rate_plan, valid_from, valid_to
SELECT
    rate_plan,
    valid_from,
    valid_to
FROM customer_rate_plan
WHERE customer_id = :customer_id
ORDER BY valid_from, rate_plan;
