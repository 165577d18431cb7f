-- Take a lease that is free or has ended; no row changes while another owner lives.
-- writes: lease
-- params: name, owner, lease_s
UPDATE lease
SET
    owner = :owner,
    fence = fence + 1,
    lease_until = CURRENT_TIMESTAMP(6) + INTERVAL :lease_s SECOND
WHERE
    name = :name
    AND (owner IS NULL OR lease_until IS NULL OR lease_until < CURRENT_TIMESTAMP(6));
