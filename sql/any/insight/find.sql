-- Whether an insight was recorded before.
-- reads:  billing_insight
-- params: content_sha256
-- yields: id
SELECT id
FROM billing_insight
WHERE content_sha256 = :content_sha256;
