-- What some customers pay in a cycle beside usage, whatever they use.
-- reads:  customer_charge
-- params: customer_ids, since, before (half-open: the cycle)
-- yields: customer_id, charges_micros
SELECT
    customer_id,
    sum(amount_micros) AS charges_micros
FROM customer_charge
WHERE
    customer_id IN :customer_ids
    AND kind IN ('recurring', 'discount', 'minimum')
    AND (valid_from IS NULL OR valid_from < :before)
    AND (valid_to IS NULL OR valid_to > :since)
GROUP BY customer_id
ORDER BY customer_id;
