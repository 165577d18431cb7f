-- The invoices that were issued since a moment, in the order of their numbers.
-- reads:  invoice
-- params: since_s (seconds since 1970, database clock)
-- yields: invoice_number, year, kind, customer_id, cycle_start_date, currency, gross_cents
SELECT
    i.invoice_number,
    i.year,
    i.kind,
    i.customer_id,
    i.cycle_start_date,
    i.currency,
    i.gross_cents
FROM invoice AS i
WHERE unix_timestamp(i.created_at) >= :since_s
ORDER BY i.invoice_number;
