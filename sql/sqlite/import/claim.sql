-- Take an import that is free or whose owner's lease ran out (compare and set).
-- writes: import_queue
-- params: import_id, seen_fence, owner, lease_s
UPDATE import_queue
SET
    locked = 1,
    status = 'running',
    owner = :owner,
    fence = fence + 1,
    attempts = attempts + 1,
    lease_until = strftime('%Y-%m-%d %H:%M:%f', 'now', '+' || :lease_s || ' seconds'),
    started_at = coalesce(started_at, strftime('%Y-%m-%d %H:%M:%f', 'now')),
    updated_at = strftime('%Y-%m-%d %H:%M:%f', 'now')
WHERE
    id = :import_id
    AND complete = 0
    AND fence = :seen_fence
    AND (locked = 0 OR lease_until < strftime('%Y-%m-%d %H:%M:%f', 'now'));
