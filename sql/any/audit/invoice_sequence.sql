-- Series whose numbers have a gap, or do not end where the sequence stands.
-- reads:  invoice_sequence, invoice
-- params: none
-- yields: subject, expected_count, found_count, expected_micros, found_micros (only where they differ)
WITH i AS (
    SELECT
        series,
        year,
        count(*) AS issued_count,
        max(sequence_no) AS highest
    FROM invoice
    GROUP BY series, year
)

SELECT
    s.series AS subject,
    s.last_number AS expected_count,
    CASE
        WHEN s.last_number <> coalesce(i.issued_count, 0) THEN coalesce(i.issued_count, 0)
        ELSE coalesce(i.highest, 0)
    END AS found_count,
    0 AS expected_micros,
    0 AS found_micros
FROM invoice_sequence AS s
LEFT JOIN i
    ON
        s.series = i.series
        AND s.year = i.year
WHERE
    s.last_number <> coalesce(i.issued_count, 0)
    OR s.last_number <> coalesce(i.highest, 0)
ORDER BY s.series, s.year;
