-- The header of one invoice.
-- reads:  invoice
-- params: invoice_number
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
WHERE invoice_number = :invoice_number;
