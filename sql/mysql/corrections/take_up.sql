-- Put an import back that an operator unlocked by hand, or whose owner was lost.
-- writes: import_queue
-- params: import_id
UPDATE import_queue
SET
    status = 'waiting',
    message = 'taken up again by a worker',
    updated_at = CURRENT_TIMESTAMP(6)
WHERE
    id = :import_id
    AND complete = 0
    AND locked = 0
    AND (
        status = 'running'
        OR (status IN ('waiting', 'failed') AND message LIKE 'Reset manually%')
    );
