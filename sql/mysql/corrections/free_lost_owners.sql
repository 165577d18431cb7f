-- Take the lease of a provider from an owner whose import was unlocked: it cannot commit.
-- reads:  import_queue
-- writes: lease
-- params: none
UPDATE lease AS l
INNER JOIN import_queue AS q
    ON
            l.owner = q.owner
            AND l.name = concat('import:', q.provider)
SET
    l.owner = NULL,
    l.lease_until = NULL,
    l.fence = l.fence + 1
WHERE
    q.complete = 0
    AND q.locked = 0
    AND q.status = 'running'
    AND NOT EXISTS (
        SELECT 1
        FROM import_queue AS busy
        WHERE
            busy.owner = l.owner
            AND busy.locked = 1
    );
