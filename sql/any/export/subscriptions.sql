-- What belongs to a customer and when.
-- reads:  subscription
-- params: customer_id
-- yields: kind, identifier, valid_from, valid_to
SELECT
    kind,
    identifier,
    valid_from,
    valid_to
FROM subscription
WHERE customer_id = :customer_id
ORDER BY kind, identifier, valid_from;
