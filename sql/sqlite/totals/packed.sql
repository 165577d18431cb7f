-- The records of each customer of a page in one cycle, as one text with its count and sum.
-- Each record is a line that ends with a newline, its cells joined by commas: call_date,
-- usage_type, zone, duration_s, volume_bytes, events, cost_micros. An empty cell is null; a
-- text is x and its bytes in hexadecimal digits, so that none can hold a comma; the date is
-- as it is stored, which is quicker here than to make a number of it.
-- reads:  call_detail_record
-- params: customer_ids, cycle_start_date, cycle_end_date, unready_ids
-- yields: customer_id, record_count, cost_micros, packed
SELECT
    customer_id,
    count(*) AS record_count,
    coalesce(sum(cost_micros), 0) AS cost_micros,
    group_concat(
        printf(
            '%s,x%s,%s,%s,%s,%s,%s' || char(10),
            call_date,
            hex(usage_type),
            CASE WHEN zone IS NOT NULL THEN 'x' || hex(zone) END,
            duration_s,
            volume_bytes,
            events,
            cost_micros
        ),
        ''
    ) AS packed
FROM call_detail_record
WHERE
    customer_id IN :customer_ids
    AND call_date >= :cycle_start_date
    AND call_date < :cycle_end_date
    AND import_id NOT IN :unready_ids
GROUP BY customer_id
ORDER BY customer_id;
