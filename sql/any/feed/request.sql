-- How far the delivery of an account and period is.
-- reads:  delivery_request
-- params: provider, account, period
-- yields: request_id, status, import_id
SELECT
    request_id,
    status,
    import_id
FROM delivery_request
WHERE
    provider = :provider
    AND account = :account
    AND period = :period;
