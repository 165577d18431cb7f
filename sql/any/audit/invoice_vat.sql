-- Invoices that are not what their VAT breakdown adds up to.
-- reads:  invoice, invoice_vat
-- params: none
-- yields: subject, expected_count, found_count, expected_micros, found_micros (only where they differ)
WITH v AS (
    SELECT
        invoice_number,
        sum(taxable_cents) AS taxable_cents,
        sum(vat_cents) AS vat_cents
    FROM invoice_vat
    GROUP BY invoice_number
)

SELECT
    i.invoice_number AS subject,
    0 AS expected_count,
    0 AS found_count,
    i.gross_cents * 10000 AS expected_micros,
    coalesce(v.taxable_cents + v.vat_cents, 0) * 10000 AS found_micros
FROM invoice AS i
LEFT JOIN v ON i.invoice_number = v.invoice_number
WHERE
    i.net_cents <> coalesce(v.taxable_cents, 0)
    OR i.vat_cents <> coalesce(v.vat_cents, 0)
    OR i.gross_cents <> coalesce(v.taxable_cents + v.vat_cents, 0)
ORDER BY i.invoice_number;
