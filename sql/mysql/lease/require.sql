-- Check a lease's fence and extend it in one step; no row changes when it was taken over.
-- writes: lease
-- params: name, owner, fence, lease_s
UPDATE lease
SET lease_until = CURRENT_TIMESTAMP(6) + INTERVAL :lease_s SECOND
WHERE
    name = :name
    AND owner = :owner
    AND fence = :fence;
