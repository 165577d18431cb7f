-- Say that no stored version of any rate plan is current, before the loaded ones are.
-- writes: rate_plan
-- params: none
UPDATE rate_plan
SET is_current = 0
WHERE is_current = 1;
