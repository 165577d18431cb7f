-- How far a sequence has come, and the highest number that was really issued.
-- reads:  invoice_sequence, invoice
-- params: series, year
-- yields: last_number, issued_number
SELECT
    s.last_number,
    (
        SELECT coalesce(max(i.sequence_no), 0)
        FROM invoice AS i
        WHERE
            i.series = s.series
            AND i.year = s.year
    ) AS issued_number
FROM invoice_sequence AS s
WHERE
    s.series = :series
    AND s.year = :year;
