-- The insights of some kinds about some customers that stand.
-- reads:  billing_insight
-- params: kinds, customer_ids
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
    AND customer_id IN :customer_ids
ORDER BY id;
