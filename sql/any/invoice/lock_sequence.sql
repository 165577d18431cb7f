-- Keep a sequence from every other run until the commit; its number stays as it is.
-- writes: invoice_sequence
-- params: series, year
UPDATE invoice_sequence
SET last_number = last_number
WHERE
    series = :series
    AND year = :year;
