-- What was invoiced for the cycles that contain a day, by kind of document.
-- reads:  invoice
-- params: day
-- yields: kind, currency, documents, net_cents, vat_cents, gross_cents
SELECT
    kind,
    currency,
    count(*) AS documents,
    sum(net_cents) AS net_cents,
    sum(vat_cents) AS vat_cents,
    sum(gross_cents) AS gross_cents
FROM invoice
WHERE
    cycle_start_date <= :day
    AND cycle_end_date > :day
GROUP BY kind, currency
ORDER BY kind, currency;
