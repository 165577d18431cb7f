-- The lines of a provider's invoice, numbered from 1.
-- reads:  charges
-- params: none
-- yields: line_no, customer_id, contract, usage_type, record_count, unrated_count,
--         cost_micros
SELECT
    row_number() OVER (ORDER BY customer_id, contract, usage_type) AS line_no,
    customer_id,
    contract,
    usage_type,
    sum(record_count)::bigint AS record_count,
    sum(unrated_count)::bigint AS unrated_count,
    sum(cost_micros)::bigint AS cost_micros
FROM charges
GROUP BY customer_id, contract, usage_type
ORDER BY line_no;
