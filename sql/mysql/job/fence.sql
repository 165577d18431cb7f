-- Hold a running job's row until this transaction ends, if it is still this owner's.
-- writes: job
-- params: id, owner, fence
UPDATE job
SET updated_at = CURRENT_TIMESTAMP(6)
WHERE
    id = :id
    AND owner = :owner
    AND fence = :fence
    AND status = 'running';
