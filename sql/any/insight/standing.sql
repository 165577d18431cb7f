-- The insights of some kinds that stand.
-- reads:  billing_insight
-- params: kinds
-- yields: id, kind, severity, customer_id, provider, cycle_start_date, subject,
--         content_sha256, acknowledged_by, acknowledged_at, note
SELECT
    id,
    kind,
    severity,
    customer_id,
    provider,
    cycle_start_date,
    subject,
    content_sha256,
    acknowledged_by,
    acknowledged_at,
    note
FROM billing_insight
WHERE
    replaced_at IS NULL
    AND kind IN :kinds
ORDER BY id;
