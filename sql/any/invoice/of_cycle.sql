-- Every document of one cycle, in the order they were issued.
-- reads:  invoice
-- params: customer_id, cycle_start_date
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
    customer_id = :customer_id
    AND cycle_start_date = :cycle_start_date
ORDER BY document_no;
