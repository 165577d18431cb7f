-- How many records the picked keys stand for, what they cost, and where they were read.
-- reads:  moved_key, call_detail_record
-- params: none
-- yields: record_count, cost_micros, first_line, last_line
SELECT
    count(*) AS record_count,
    coalesce(sum(r.cost_micros), 0) AS cost_micros,
    min(r.line_no) AS first_line,
    max(r.line_no) AS last_line
FROM moved_key AS k
INNER JOIN call_detail_record AS r
    ON
        k.customer_id = r.customer_id
        AND k.call_date = r.call_date
        AND k.fingerprint = r.fingerprint;
