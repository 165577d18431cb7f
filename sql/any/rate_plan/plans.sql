-- The version of each rate plan that is current, without its text.
-- reads:  rate_plan
-- params: none
-- yields: rate_plan, version, currency, valid_from, valid_to
SELECT
    rate_plan,
    version,
    currency,
    valid_from,
    valid_to
FROM rate_plan
WHERE is_current = 1
ORDER BY rate_plan;
