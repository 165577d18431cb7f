-- What is charged beside usage, by customer.
-- reads:  customer_charge
-- params: customer_id (null for all)
-- yields: customer_id, kind, name, amount_micros, quantity, valid_from, valid_to
SELECT
    customer_id,
    kind,
    name,
    amount_micros,
    quantity,
    valid_from,
    valid_to
FROM customer_charge
WHERE (:customer_id IS NULL OR customer_id = :customer_id)
ORDER BY customer_id, id;
