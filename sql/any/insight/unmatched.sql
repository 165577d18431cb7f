-- Records that wait for an owner, by provider and what they were delivered for.
-- reads:  suspended_record, import_queue
-- params: none
-- yields: provider, subscriber, record_count, cost_micros, first_day, last_day (UTC)
SELECT
    s.provider,
    s.subscriber,
    count(*) AS record_count,
    coalesce(sum(s.cost_micros), 0) AS cost_micros,
    min(date(s.started_at_utc)) AS first_day,
    max(date(s.started_at_utc)) AS last_day
FROM suspended_record AS s
INNER JOIN import_queue AS q ON s.import_id = q.id
WHERE
    q.complete = 1
    AND s.subscriber <> ''
GROUP BY s.provider, s.subscriber
ORDER BY s.provider, s.subscriber;
