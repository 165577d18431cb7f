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
    lease_until = CURRENT_TIMESTAMP(6) + INTERVAL :lease_s SECOND,
    started_at = coalesce(started_at, CURRENT_TIMESTAMP(6)),
    updated_at = CURRENT_TIMESTAMP(6)
WHERE
    id = :import_id
    AND complete = 0
    AND fence = :seen_fence
    AND (locked = 0 OR lease_until < CURRENT_TIMESTAMP(6));
