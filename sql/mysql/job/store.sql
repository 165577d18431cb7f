-- Store one waiting job, unless the same work is waiting or running already.
-- writes: job
-- params: command, payload, work_key, active_key, run_id, parent_id, max_attempts, delay_s
INSERT INTO job (
    command,
    payload,
    work_key,
    active_key,
    run_id,
    parent_id,
    status,
    max_attempts,
    available_at
)
VALUES (
    :command,
    :payload,
    :work_key,
    :active_key,
    :run_id,
    :parent_id,
    'waiting',
    :max_attempts,
    CURRENT_TIMESTAMP(6) + INTERVAL :delay_s SECOND
)
ON DUPLICATE KEY UPDATE active_key = job.active_key;
