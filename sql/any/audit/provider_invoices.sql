-- Provider invoices that are not the sum of their lines, or not what the import loaded.
-- reads:  provider_invoice, provider_invoice_line
-- params: none
-- yields: subject, expected_count, found_count, expected_micros, found_micros (only where they differ)
WITH l AS (
    SELECT
        import_id,
        sum(record_count) AS record_count,
        sum(cost_micros) AS cost_micros
    FROM provider_invoice_line
    GROUP BY import_id
)

SELECT
    i.import_id AS subject,
    i.record_count AS expected_count,
    coalesce(l.record_count, 0) AS found_count,
    i.cost_micros AS expected_micros,
    coalesce(l.cost_micros, 0) AS found_micros
FROM provider_invoice AS i
LEFT JOIN l ON i.import_id = l.import_id
WHERE
    i.record_count <> coalesce(l.record_count, 0)
    OR i.cost_micros <> coalesce(l.cost_micros, 0)
ORDER BY i.import_id;
