-- Check if syncs are running
SELECT
    COUNT(*) as sync_count,
    MAX(created_at) as last_sync
FROM sync_task
WHERE created_at > NOW() - INTERVAL 10 MINUTE;

-- Verify chain executed
SELECT
    t.id as totals_id,
    tb.id as backup_id,
    t.customer_id,
    t.cycle_start_date
FROM total_usage_new_table t
LEFT JOIN total_usage_new_backup_table tb ON
    t.customer_id = tb.customer_id
    AND t.cycle_start_date = tb.cycle_start_date
WHERE t.customer_id = 123
    AND t.cycle_start_date = '2025-01-01';

-- Check if calculations are happening
SELECT
    customer_id,
    cycle_start_date,
    total_cost,
    updated_at
FROM total_usage_new_table
WHERE updated_at > NOW() - INTERVAL 1 HOUR
ORDER BY updated_at DESC
LIMIT 20;

-- Check CDR data exists
SELECT COUNT(*) FROM call_detail_record
WHERE customer_id = 123
    AND call_date >= '2025-01-01'
    AND call_date < '2025-02-01';

-- Check import progress
SELECT
    id,
    type,
    locked,
    complete,
    created_at,
    updated_at
FROM import_queue
WHERE created_at > NOW() - INTERVAL 24 HOUR
    AND type = 'routit_cdr'
ORDER BY created_at DESC;

-- Check CDR volume
SELECT
    DATE(call_date) as date,
    COUNT(*) as cdr_count
FROM call_detail_record
WHERE call_date > NOW() - INTERVAL 7 DAY
GROUP BY DATE(call_date)
ORDER BY date DESC;

-- Find locked imports
SELECT * FROM import_queue
WHERE type = 'routit_cdr'
    AND locked = 1
    AND complete = 0
ORDER BY created_at DESC;

-- Free a locked import
UPDATE import_queue
SET locked = 0, message = 'Reset manually'
WHERE id = 123 AND type = 'routit_cdr';

-- Check for database locks
SHOW PROCESSLIST;
