-- Keep who has seen an insight, and what there was to say; the first who did stays.
-- writes: billing_insight
-- params: id, acknowledged_by, note (null for none)
UPDATE billing_insight
SET
    acknowledged_by = :acknowledged_by,
    acknowledged_at = CURRENT_TIMESTAMP(6),
    note = :note
WHERE
    id = :id
    AND acknowledged_at IS NULL;
