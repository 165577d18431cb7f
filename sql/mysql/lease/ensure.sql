-- Make the row of a lease that was never taken before.
-- writes: lease
-- params: name
INSERT INTO lease (name, fence)
VALUES (:name, 0)
ON DUPLICATE KEY UPDATE name = lease.name;
