-- Let an insight stand no more: another took its place, or none.
-- writes: billing_insight
-- params: id, replaced_by (null for none)
UPDATE billing_insight
SET
    replaced_at = strftime('%Y-%m-%d %H:%M:%f', 'now'),
    replaced_by = :replaced_by
WHERE
    id = :id
    AND replaced_at IS NULL;
