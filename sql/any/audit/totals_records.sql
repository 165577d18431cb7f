-- Totals of cycles that are not waiting to be computed, against the records of the cycle,
-- or against the sums that were kept of them.
-- reads:  total_usage_new_table, call_detail_record, import_queue, dirty_cycle,
--         retained_aggregate
-- params: none
-- yields: subject, expected_count, found_count, expected_micros, found_micros (only where they differ)
WITH k AS (
    SELECT
        customer_id,
        cycle_start_date,
        sum(record_count) AS record_count,
        sum(cost_micros) AS cost_micros
    FROM retained_aggregate
    WHERE kind = 'call'
    GROUP BY customer_id, cycle_start_date
)

SELECT
    s.subject,
    s.expected_count,
    s.found_count,
    s.expected_micros,
    s.found_micros
FROM (
    SELECT
        t.id AS subject,
        t.cdr_count AS expected_count,
        count(r.customer_id) + coalesce(max(k.record_count), 0) AS found_count,
        t.provider_cost_micros AS expected_micros,
        coalesce(sum(r.cost_micros), 0) + coalesce(max(k.cost_micros), 0) AS found_micros
    FROM total_usage_new_table AS t
    LEFT JOIN k
        ON
            t.customer_id = k.customer_id
            AND t.cycle_start_date = k.cycle_start_date
    LEFT JOIN call_detail_record AS r
        ON
            t.customer_id = r.customer_id
            AND t.cycle_start_date <= r.call_date
            AND t.cycle_end_date > r.call_date
            AND r.import_id IN (
                SELECT q.id
                FROM import_queue AS q
                WHERE q.complete = 1
            )
    WHERE
        NOT EXISTS (
            SELECT 1
            FROM dirty_cycle AS d
            WHERE
                d.customer_id = t.customer_id
                AND d.cycle_start_date = t.cycle_start_date
        )
    GROUP BY t.id, t.cdr_count, t.provider_cost_micros
) AS s
WHERE
    s.expected_count <> s.found_count
    OR s.expected_micros <> s.found_micros
ORDER BY s.subject;
