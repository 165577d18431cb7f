-- What was noticed about a customer.
-- reads:  billing_insight
-- params: customer_id
-- yields: kind, severity, provider, cycle_start_date, evidence, created_at,
--         acknowledged_by, acknowledged_at
SELECT
    kind,
    severity,
    provider,
    cycle_start_date,
    evidence,
    created_at,
    acknowledged_by,
    acknowledged_at
FROM billing_insight
WHERE customer_id = :customer_id
ORDER BY id;
