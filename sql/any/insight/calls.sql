-- Calls and messages that go to premium numbers or abroad, or are dear.
-- reads:  call_detail_record
-- params: customer_ids, since, before (half-open), unready_ids, dear_micros
-- yields: customer_id, subscriber, started_at_utc, cost_micros
SELECT
    customer_id,
    subscriber,
    started_at_utc,
    cost_micros
FROM call_detail_record
WHERE
    customer_id IN :customer_ids
    AND call_date >= :since
    AND call_date < :before
    AND import_id NOT IN :unready_ids
    AND direction = 'out'
    AND usage_type IN ('voice', 'sms', 'mms', 'content')
    AND (
        usage_type = 'content'
        OR other_class IN ('premium', 'international')
        OR cost_micros >= :dear_micros
    );
