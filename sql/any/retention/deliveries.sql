-- Delivered files of complete imports that ended before a day, and which nothing else needs.
-- reads:  import_queue
-- params: before
-- yields: id, sha256, file_name
SELECT
    q.id,
    q.sha256,
    q.file_name
FROM import_queue AS q
WHERE
    q.complete = 1
    AND q.finished_at < :before
    AND NOT EXISTS (
        SELECT 1
        FROM import_queue AS o
        WHERE
            o.sha256 = q.sha256
            AND (o.complete = 0 OR o.finished_at >= :before)
    )
ORDER BY q.id;
