-- Check a lease's fence and extend it in one step; no row changes when it was taken over.
-- writes: lease
-- params: name, owner, fence, lease_s
UPDATE lease
SET lease_until = strftime('%Y-%m-%d %H:%M:%f', 'now', :lease_s || ' seconds')
WHERE
    name = :name
    AND owner = :owner
    AND fence = :fence;
