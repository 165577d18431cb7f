-- What was issued so far for the cycles of a page of customers.
-- reads:  invoice
-- params: customer_ids
-- yields: customer_id, cycle_start_date, document_no, kind, revision, invoice_number
SELECT
    customer_id,
    cycle_start_date,
    document_no,
    kind,
    revision,
    invoice_number
FROM invoice
WHERE customer_id IN :customer_ids
ORDER BY customer_id, cycle_start_date, document_no;
