-- The lines of a page of invoices.
-- reads:  invoice_line
-- params: numbers
-- yields: invoice_number, line_no, kind, name, usage_type, zone, quantity, duration_s,
--         volume_bytes, events, amount_micros, amount_cents, vat_category, vat_rate_bp,
--         vat_cents
SELECT
    invoice_number,
    line_no,
    kind,
    name,
    usage_type,
    zone,
    quantity,
    duration_s,
    volume_bytes,
    events,
    amount_micros,
    amount_cents,
    vat_category,
    vat_rate_bp,
    vat_cents
FROM invoice_line
WHERE invoice_number IN :numbers
ORDER BY invoice_number, line_no;
