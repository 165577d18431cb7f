-- What the provider charges for each record of an import, of a page of customers.
-- reads:  call_detail_record
-- params: import_id, customer_ids, first_call_date, last_call_date
-- yields: customer_id, contract, usage_type, currency, cost_micros
SELECT
    customer_id,
    contract,
    usage_type,
    currency,
    cost_micros
FROM call_detail_record
WHERE
    customer_id IN :customer_ids
    AND call_date >= :first_call_date
    AND call_date <= :last_call_date
    AND import_id = :import_id;
