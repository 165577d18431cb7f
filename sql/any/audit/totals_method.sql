-- Totals of the standard method that differ from what the provider charges.
-- reads:  total_usage_new_table
-- params: none
-- yields: subject, expected_count, found_count, expected_micros, found_micros (only where they differ)
SELECT
    id AS subject,
    cdr_count AS expected_count,
    cdr_count AS found_count,
    provider_cost_micros AS expected_micros,
    total_cost_micros AS found_micros
FROM total_usage_new_table
WHERE
    method = 'standard'
    AND provider_cost_micros <> total_cost_micros
ORDER BY id;
