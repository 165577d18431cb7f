-- Every customer, in the order of the clustered key.
-- reads:  customer
-- params: none
-- yields: customer_id
SELECT customer_id
FROM customer
ORDER BY customer_id;
