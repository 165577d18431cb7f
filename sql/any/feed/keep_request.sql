-- Remember what the provider calls our request.
-- writes: delivery_request
-- params: provider, account, period, request_id, status
INSERT INTO delivery_request (provider, account, period, request_id, status)
VALUES (:provider, :account, :period, :request_id, :status);
