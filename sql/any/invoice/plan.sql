-- One version of a rate plan, as the texts it was read from; the current one for none.
-- reads:  rate_plan
-- params: rate_plan, version (null for the current one)
-- yields: document
SELECT document
FROM rate_plan
WHERE
    rate_plan = :rate_plan
    AND (version = :version OR (:version IS NULL AND is_current = 1));
