-- What people decided about an import, the oldest first.
-- reads:  import_decision
-- params: import_id
-- yields: decision, decided_by, decided_at, record_count, cost_micros, reason
SELECT
    decision,
    decided_by,
    decided_at,
    record_count,
    cost_micros,
    reason
FROM import_decision
WHERE import_id = :import_id
ORDER BY id;
