-- Records that wait for an owner, by what they were delivered for and the day (UTC).
-- reads:  suspended_record, import_queue
-- params: none
-- yields: subscriber, contract, account, day, record_count
SELECT
    s.subscriber,
    s.contract,
    s.account,
    date(s.started_at_utc) AS day,
    count(*) AS record_count
FROM suspended_record AS s
INNER JOIN import_queue AS q ON s.import_id = q.id
WHERE q.complete = 1
GROUP BY s.subscriber, s.contract, s.account, date(s.started_at_utc)
ORDER BY s.subscriber, s.contract, s.account, day;
