-- Imports that ended before a day and of which raw lines are still kept, with how many.
-- reads:  import_queue, rejected_record, suspended_record, conflict_record
-- params: before
-- yields: id, record_count
WITH r AS (
    SELECT
        import_id,
        count(*) AS record_count
    FROM rejected_record
    WHERE raw <> ''
    GROUP BY import_id
    UNION ALL
    SELECT
        import_id,
        count(*)
    FROM suspended_record
    WHERE raw <> ''
    GROUP BY import_id
    UNION ALL
    SELECT
        import_id,
        count(*)
    FROM conflict_record
    WHERE raw <> ''
    GROUP BY import_id
)

SELECT
    q.id,
    sum(r.record_count) AS record_count
FROM import_queue AS q
INNER JOIN r ON q.id = r.import_id
WHERE q.updated_at < :before
GROUP BY q.id
ORDER BY q.id;
