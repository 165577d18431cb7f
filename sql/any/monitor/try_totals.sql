-- Prove that totals can be written; the caller undoes it.
-- writes: total_usage_new_table
-- params: none
INSERT INTO total_usage_new_table (
    customer_id,
    cycle_start_date,
    cycle_end_date,
    revision,
    method,
    currency,
    total_cost_micros,
    provider_cost_micros,
    cdr_count,
    unrated_count,
    content_sha256
)
VALUES (0, '1970-01-01', '1970-02-01', 1, 'standard', 'EUR', 0, 0, 0, 0, '');
