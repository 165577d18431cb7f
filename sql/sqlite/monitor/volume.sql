-- How many records there are of each of the last seven days, the newest day first.
-- Asked customer by customer: the key begins with the customer.
-- reads:  customer, call_detail_record
-- params: none
-- yields: day, cdr_count
SELECT
    date(r.call_date) AS day,
    count(*) AS cdr_count
FROM customer AS c
CROSS JOIN call_detail_record AS r
WHERE
    c.customer_id = r.customer_id
    AND r.call_date > strftime('%Y-%m-%d %H:%M:%f', 'now', '-7 days')
GROUP BY date(r.call_date)
ORDER BY day DESC;
