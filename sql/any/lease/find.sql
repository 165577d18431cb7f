-- Who holds a lease, and until when.
-- reads:  lease
-- params: name
-- yields: name, owner, fence, lease_until
SELECT
    name,
    owner,
    fence,
    lease_until
FROM lease
WHERE name = :name;
