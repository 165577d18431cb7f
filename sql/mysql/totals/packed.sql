-- The records of each customer of a page in one cycle, as one text with its count and sum.
-- Each record is a line that ends with a newline, its cells joined by commas: call_date,
-- usage_type, zone, duration_s, volume_bytes, events, cost_micros. An empty cell is null; a
-- text is x and its bytes in hexadecimal digits, so that none can hold a comma; the date is
-- in seconds since 1970, which are quicker to write and to read than the date as text.
-- reads:  call_detail_record
-- params: customer_ids, cycle_start_date, cycle_end_date, unready_ids
-- yields: customer_id, record_count, cost_micros, packed (cut at group_concat_max_len)
SELECT
    customer_id,
    count(*) AS record_count,
    coalesce(sum(cost_micros), 0) AS cost_micros,
    group_concat(
        concat(
            to_seconds(call_date) - 62167219200,
            ',x',
            hex(usage_type),
            ',',
            coalesce(concat('x', hex(zone)), ''),
            ',',
            coalesce(duration_s, ''),
            ',',
            coalesce(volume_bytes, ''),
            ',',
            coalesce(events, ''),
            ',',
            coalesce(cost_micros, ''),
            '\n'
        ) SEPARATOR ''
    ) AS packed
FROM call_detail_record
WHERE
    customer_id IN :customer_ids
    AND call_date >= :cycle_start_date
    AND call_date < :cycle_end_date
    AND import_id NOT IN :unready_ids
GROUP BY customer_id
ORDER BY customer_id;
