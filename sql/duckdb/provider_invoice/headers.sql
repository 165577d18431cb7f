-- The sum of a provider's invoice in each currency it charges in.
-- reads:  charges
-- params: none
-- yields: currency, record_count, unrated_count, cost_micros
SELECT
    currency,
    sum(record_count)::bigint AS record_count,
    sum(unrated_count)::bigint AS unrated_count,
    sum(cost_micros)::bigint AS cost_micros
FROM charges
GROUP BY currency
ORDER BY currency;
