-- The texts of a rate plan as it is now: the plan and every file it names.
-- reads:  rate_plan
-- params: rate_plan
-- yields: version, document
SELECT
    version,
    document
FROM rate_plan
WHERE
    is_current = 1
    AND rate_plan = :rate_plan;
