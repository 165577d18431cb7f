-- Make the sequence of a series and year that has issued nothing yet.
-- writes: invoice_sequence
-- params: series, year
INSERT INTO invoice_sequence (series, year, last_number)
VALUES (:series, :year, 0)
ON CONFLICT (series, year) DO NOTHING;
