-- A page of all invoices, a day's or a customer's, in the order of their numbers.
-- reads:  invoice
-- params: invoice_number (the last one of the page before; empty for the first),
--         day, customer_id (each null for no filter), most
-- yields: invoice_number, series, year, sequence_no, kind, customer_id, cycle_start_date,
--         cycle_end_date, document_no, base_revision, revision, totals_sha256, method,
--         currency, usage_micros, charges_micros, rounding_micros, net_cents, vat_cents,
--         gross_cents, issue_date, due_date, issued_by, reason, refers_to, supplier,
--         customer, terms, notes, content_sha256
SELECT
    invoice_number,
    series,
    year,
    sequence_no,
    kind,
    customer_id,
    cycle_start_date,
    cycle_end_date,
    document_no,
    base_revision,
    revision,
    totals_sha256,
    method,
    currency,
    usage_micros,
    charges_micros,
    rounding_micros,
    net_cents,
    vat_cents,
    gross_cents,
    issue_date,
    due_date,
    issued_by,
    reason,
    refers_to,
    supplier,
    customer,
    terms,
    notes,
    content_sha256
FROM invoice
WHERE
    invoice_number > :invoice_number
    AND (:customer_id IS NULL OR customer_id = :customer_id)
    AND (:day IS NULL OR (cycle_start_date <= :day AND cycle_end_date > :day))
ORDER BY invoice_number
LIMIT :most;
