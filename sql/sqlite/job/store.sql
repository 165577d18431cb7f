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
    strftime('%Y-%m-%d %H:%M:%f', 'now', :delay_s || ' seconds')
)
ON CONFLICT (active_key) DO NOTHING;
