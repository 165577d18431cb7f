-- Take over who has seen an insight from the one it takes the place of.
-- writes: billing_insight
-- params: id, acknowledged_by, acknowledged_at, note
UPDATE billing_insight
SET
    acknowledged_by = :acknowledged_by,
    acknowledged_at = :acknowledged_at,
    note = :note
WHERE id = :id;
