-- Prove that an import is still ours and extend its lease; no row means it was taken over.
-- writes: import_queue
-- params: import_id, fence, owner, lease_s
UPDATE import_queue
SET
    lease_until = CURRENT_TIMESTAMP(6) + INTERVAL :lease_s SECOND,
    updated_at = CURRENT_TIMESTAMP(6)
WHERE
    id = :import_id
    AND locked = 1
    AND complete = 0
    AND fence = :fence
    AND owner = :owner;
