-- Give a lease back, if it is still this owner's.
-- writes: lease
-- params: name, owner, fence
UPDATE lease
SET
    owner = NULL,
    lease_until = NULL
WHERE
    name = :name
    AND owner = :owner
    AND fence = :fence;
