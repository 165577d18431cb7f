-- Take the lease of a provider from an owner whose import was unlocked: it cannot commit.
-- reads:  import_queue
-- writes: lease
-- params: none
UPDATE lease
SET
    owner = NULL,
    lease_until = NULL,
    fence = fence + 1
WHERE
    EXISTS (
        SELECT 1
        FROM import_queue AS q
        WHERE
            q.owner = lease.owner
            AND 'import:' || q.provider = lease.name
            AND q.complete = 0
            AND q.locked = 0
            AND q.status = 'running'
    )
    AND NOT EXISTS (
        SELECT 1
        FROM import_queue AS busy
        WHERE
            busy.owner = lease.owner
            AND busy.locked = 1
    );
