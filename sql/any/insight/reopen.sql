-- Let an insight stand again that another one, or none, had taken the place of.
-- writes: billing_insight
-- params: id
UPDATE billing_insight
SET
    replaced_at = NULL,
    replaced_by = NULL
WHERE id = :id;
