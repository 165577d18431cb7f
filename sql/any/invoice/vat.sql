-- The VAT breakdown of a page of invoices, the highest rate first.
-- reads:  invoice_vat
-- params: numbers
-- yields: invoice_number, category, rate_bp, taxable_cents, vat_cents, reason
SELECT
    invoice_number,
    category,
    rate_bp,
    taxable_cents,
    vat_cents,
    reason
FROM invoice_vat
WHERE invoice_number IN :numbers
ORDER BY invoice_number ASC, rate_bp DESC, category ASC;
