-- Say how far a requested delivery is now.
-- writes: delivery_request
-- params: provider, account, period, request_id, status, import_id
UPDATE delivery_request
SET
    request_id = :request_id,
    status = :status,
    import_id = :import_id
WHERE
    provider = :provider
    AND account = :account
    AND period = :period;
