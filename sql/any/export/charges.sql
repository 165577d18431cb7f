-- What a customer is charged beside usage.
-- reads:  customer_charge
-- params: customer_id
-- yields: kind, name, amount_micros, quantity, valid_from, valid_to
SELECT
    kind,
    name,
    amount_micros,
    quantity,
    valid_from,
    valid_to
FROM customer_charge
WHERE customer_id = :customer_id
ORDER BY id;
