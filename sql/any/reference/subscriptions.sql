-- Every subscription; rows without a date are open on that side.
-- reads:  subscription
-- params: none
-- yields: kind, identifier, customer_id, valid_from, valid_to
SELECT
    kind,
    identifier,
    customer_id,
    valid_from,
    valid_to
FROM subscription
ORDER BY id;
