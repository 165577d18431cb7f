-- Say how far a sequence has come with the invoices of this transaction.
-- writes: invoice_sequence
-- params: series, year, last_number
UPDATE invoice_sequence
SET last_number = :last_number
WHERE
    series = :series
    AND year = :year;
