-- How many insights stand that nobody acknowledged, by how grave they are and what.
-- reads:  billing_insight
-- params: none
-- yields: severity, kind, insights
SELECT
    i.severity,
    i.kind,
    count(*) AS insights
FROM billing_insight AS i
WHERE
    i.replaced_at IS NULL
    AND i.acknowledged_at IS NULL
GROUP BY i.severity, i.kind
ORDER BY i.severity, i.kind;
