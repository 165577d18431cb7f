-- Invoices that are not the sum of their lines, exact or in cents.
-- reads:  invoice, invoice_line
-- params: none
-- yields: subject, expected_count, found_count, expected_micros, found_micros (only where they differ)
WITH l AS (
    SELECT
        invoice_number,
        sum(amount_micros) AS amount_micros,
        sum(amount_cents) AS amount_cents
    FROM invoice_line
    GROUP BY invoice_number
)

SELECT
    i.invoice_number AS subject,
    0 AS expected_count,
    0 AS found_count,
    i.net_cents * 10000 AS expected_micros,
    CASE
        WHEN i.net_cents <> coalesce(l.amount_cents, 0)
            THEN coalesce(l.amount_cents, 0) * 10000
        ELSE coalesce(l.amount_micros, 0)
    END AS found_micros
FROM invoice AS i
LEFT JOIN l ON i.invoice_number = l.invoice_number
WHERE
    i.net_cents <> coalesce(l.amount_cents, 0)
    OR i.net_cents * 10000 <> coalesce(l.amount_micros, 0)
ORDER BY i.invoice_number;
