-- Take a lease that is free or has ended; no row changes while another owner lives.
-- writes: lease
-- params: name, owner, lease_s
UPDATE lease
SET
    owner = :owner,
    fence = fence + 1,
    lease_until = strftime('%Y-%m-%d %H:%M:%f', 'now', :lease_s || ' seconds')
WHERE
    name = :name
    AND (
        owner IS NULL
        OR lease_until IS NULL
        OR lease_until < strftime('%Y-%m-%d %H:%M:%f', 'now')
    );
