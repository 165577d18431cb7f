-- One job, when nobody works it: waiting (its time come or not), or running with its lease ended.
-- reads:  job
-- params: id
-- yields: id, fence, status, owner, attempts, max_attempts, message
SELECT
    id,
    fence,
    status,
    owner,
    attempts,
    max_attempts,
    message
FROM job
WHERE
    id = :id
    AND (
        status = 'waiting'
        OR (
            status = 'running'
            AND (lease_until IS NULL OR lease_until < CURRENT_TIMESTAMP(6))
        )
    );
