-- One insight, and what took its place if anything did.
-- reads:  billing_insight
-- params: id
-- yields: id, kind, severity, customer_id, provider, cycle_start_date, subject, evidence,
--         acknowledged_by, acknowledged_at, note, is_replaced, replaced_by
SELECT
    i.id,
    i.kind,
    i.severity,
    i.customer_id,
    i.provider,
    i.cycle_start_date,
    i.subject,
    i.evidence,
    i.acknowledged_by,
    i.acknowledged_at,
    i.note,
    CASE WHEN i.replaced_at IS NULL THEN 0 ELSE 1 END AS is_replaced,
    i.replaced_by
FROM billing_insight AS i
WHERE i.id = :id;
