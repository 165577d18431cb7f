-- Imports whose records (stored, replaced since, or kept as sums) are not what the ledger
-- proves.
-- reads:  import_batch, call_detail_record, superseded_record, retained_aggregate
-- params: none
-- yields: subject, expected_count, found_count, expected_micros, found_micros (only where they differ)
SELECT
    s.import_id AS subject,
    sum(s.ledger_count) AS expected_count,
    sum(s.stored_count) AS found_count,
    sum(s.ledger_micros) AS expected_micros,
    sum(s.stored_micros) AS found_micros
FROM (
    SELECT
        import_id,
        sum(record_count) AS ledger_count,
        0 AS stored_count,
        sum(cost_micros) AS ledger_micros,
        0 AS stored_micros
    FROM import_batch
    GROUP BY import_id
    UNION ALL
    SELECT
        import_id,
        0,
        count(*),
        0,
        coalesce(sum(cost_micros), 0)
    FROM call_detail_record
    GROUP BY import_id
    UNION ALL
    SELECT
        import_id,
        0,
        count(*),
        0,
        coalesce(sum(cost_micros), 0)
    FROM superseded_record
    GROUP BY import_id
    UNION ALL
    SELECT
        import_id,
        0,
        sum(record_count),
        0,
        sum(cost_micros)
    FROM retained_aggregate
    GROUP BY import_id
) AS s
GROUP BY s.import_id
HAVING
    sum(s.ledger_count) <> sum(s.stored_count)
    OR sum(s.ledger_micros) <> sum(s.stored_micros)
ORDER BY s.import_id;
