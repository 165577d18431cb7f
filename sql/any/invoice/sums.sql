-- How many invoices there are, and what they come to, by currency.
-- reads:  invoice
-- params: none
-- yields: currency, invoice_count, gross_cents
SELECT
    currency,
    count(*) AS invoice_count,
    sum(gross_cents) AS gross_cents
FROM invoice
GROUP BY currency
ORDER BY currency;
