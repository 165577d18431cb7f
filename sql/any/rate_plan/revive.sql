-- Say that a version of a rate plan that is stored already is current.
-- writes: rate_plan
-- params: rate_plan, version
UPDATE rate_plan
SET is_current = 1
WHERE
    rate_plan = :rate_plan
    AND version = :version;
