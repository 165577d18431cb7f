-- The insights of some contents, whether they stand or were replaced.
-- reads:  billing_insight
-- params: digests
-- yields: id, content_sha256, is_replaced
SELECT
    id,
    content_sha256,
    CASE WHEN replaced_at IS NULL THEN 0 ELSE 1 END AS is_replaced
FROM billing_insight
WHERE content_sha256 IN :digests
ORDER BY id;
