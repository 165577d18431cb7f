-- How many records there are of each of the last seven days, the newest day first.
-- Asked customer by customer: the key begins with the customer.
-- reads:  customer, call_detail_record
-- params: none
-- yields: day, cdr_count
SELECT
    date(r.call_date) AS day,
    count(*) AS cdr_count
FROM customer AS c
STRAIGHT_JOIN call_detail_record AS r
    ON
        c.customer_id = r.customer_id
        AND r.call_date > CURRENT_TIMESTAMP(6) - INTERVAL 7 DAY
GROUP BY date(r.call_date)
ORDER BY day DESC;
