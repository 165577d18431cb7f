-- Imports whose stored records (with those replaced since) are not what the ledger proves.
-- reads:  import_batch, call_detail_record, superseded_record
-- params: none
-- yields: subject, expected_count, found_count, expected_micros, found_micros (only where they differ)
SELECT
    s.import_id AS subject,
    SUM(s.ledger_count) AS expected_count,
    SUM(s.stored_count) AS found_count,
    SUM(s.ledger_micros) AS expected_micros,
    SUM(s.stored_micros) AS found_micros
FROM (
    SELECT
        import_id,
        SUM(record_count) AS ledger_count,
        0 AS stored_count,
        SUM(cost_micros) AS ledger_micros,
        0 AS stored_micros
    FROM import_batch
    GROUP BY import_id
    UNION ALL
    SELECT
        import_id,
        0,
        COUNT(*),
        0,
        COALESCE(SUM(cost_micros), 0)
    FROM call_detail_record
    GROUP BY import_id
    UNION ALL
    SELECT
        import_id,
        0,
        COUNT(*),
        0,
        COALESCE(SUM(cost_micros), 0)
    FROM superseded_record
    GROUP BY import_id
) AS s
GROUP BY s.import_id
HAVING
    SUM(s.ledger_count) <> SUM(s.stored_count)
    OR SUM(s.ledger_micros) <> SUM(s.stored_micros)
ORDER BY s.import_id;
