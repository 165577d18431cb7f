-- What one frame of records adds to the lines of a provider's invoice.
-- reads:  records
-- writes: charges
-- params: none
INSERT INTO charges (
    currency,
    customer_id,
    contract,
    usage_type,
    record_count,
    unrated_count,
    cost_micros
)
SELECT
    currency,
    customer_id,
    coalesce(contract, '') AS contract,
    usage_type,
    count(*) AS record_count,
    count(*) - count(cost_micros) AS unrated_count,
    coalesce(sum(cost_micros), 0) AS cost_micros
FROM records
GROUP BY currency, customer_id, coalesce(contract, ''), usage_type;
