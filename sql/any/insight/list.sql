-- Insights, the newest first; those that were replaced never.
-- reads:  billing_insight, dirty_cycle
-- params: customer_id, kind, since (each null for no filter), is_all (1: also those that
--         were acknowledged), most
-- yields: id, kind, severity, customer_id, provider, cycle_start_date, evidence,
--         created_at, acknowledged_by, acknowledged_at, note, is_dirty (1: the totals of
--         its cycle are waiting to be computed again)
SELECT
    i.id,
    i.kind,
    i.severity,
    i.customer_id,
    i.provider,
    i.cycle_start_date,
    i.evidence,
    i.created_at,
    i.acknowledged_by,
    i.acknowledged_at,
    i.note,
    CASE WHEN d.customer_id IS NULL THEN 0 ELSE 1 END AS is_dirty
FROM billing_insight AS i
LEFT JOIN dirty_cycle AS d
    ON
        i.customer_id = d.customer_id
        AND i.cycle_start_date = d.cycle_start_date
WHERE
    i.replaced_at IS NULL
    AND (:customer_id IS NULL OR i.customer_id = :customer_id)
    AND (:kind IS NULL OR i.kind = :kind)
    AND (:since IS NULL OR i.created_at >= :since)
    AND (:is_all = 1 OR i.acknowledged_at IS NULL)
ORDER BY i.id DESC
LIMIT :most;
