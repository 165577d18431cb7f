-- What providers charge for the usage of cycles, beside what customers pay for it.
-- reads:  call_detail_record, import_queue, retained_aggregate, total_usage_line,
--         total_usage_new_table
-- params: day, customer_id (each null for all)
-- yields: customer_id, cycle_start_date, usage_type, record_count, unrated_count,
--         provider_micros, own_micros, currency
WITH asked AS (
    SELECT
        t.customer_id,
        t.cycle_start_date,
        t.cycle_end_date,
        t.currency
    FROM total_usage_new_table AS t
    WHERE
        (:customer_id IS NULL OR t.customer_id = :customer_id)
        AND (
            :day IS NULL
            OR (t.cycle_start_date <= :day AND t.cycle_end_date > :day)
        )
),

charged AS (
    SELECT
        a.customer_id,
        a.cycle_start_date,
        r.usage_type,
        count(*) AS record_count,
        sum(CASE WHEN r.cost_micros IS NULL THEN 1 ELSE 0 END) AS unrated_count,
        coalesce(sum(r.cost_micros), 0) AS provider_micros,
        0 AS own_micros
    FROM asked AS a
    INNER JOIN call_detail_record AS r
        ON
            a.customer_id = r.customer_id
            AND a.cycle_start_date <= r.call_date
            AND a.cycle_end_date > r.call_date
            AND r.import_id IN (
                SELECT q.id
                FROM import_queue AS q
                WHERE q.complete = 1
            )
    GROUP BY a.customer_id, a.cycle_start_date, r.usage_type
    UNION ALL
    SELECT
        a.customer_id,
        a.cycle_start_date,
        k.usage_type,
        sum(k.record_count),
        sum(k.unrated_count),
        sum(k.cost_micros),
        0
    FROM asked AS a
    INNER JOIN retained_aggregate AS k
        ON
            a.customer_id = k.customer_id
            AND a.cycle_start_date = k.cycle_start_date
            AND k.kind = 'call'
    GROUP BY a.customer_id, a.cycle_start_date, k.usage_type
    UNION ALL
    SELECT
        a.customer_id,
        a.cycle_start_date,
        l.usage_type,
        0,
        0,
        0,
        sum(l.cost_micros)
    FROM asked AS a
    INNER JOIN total_usage_line AS l
        ON
            a.customer_id = l.customer_id
            AND a.cycle_start_date = l.cycle_start_date
    GROUP BY a.customer_id, a.cycle_start_date, l.usage_type
)

SELECT
    c.customer_id,
    c.cycle_start_date,
    c.usage_type,
    sum(c.record_count) AS record_count,
    sum(c.unrated_count) AS unrated_count,
    sum(c.provider_micros) AS provider_micros,
    sum(c.own_micros) AS own_micros,
    max(a.currency) AS currency
FROM charged AS c
INNER JOIN asked AS a
    ON
        c.customer_id = a.customer_id
        AND c.cycle_start_date = a.cycle_start_date
GROUP BY c.customer_id, c.cycle_start_date, c.usage_type
ORDER BY c.customer_id, c.cycle_start_date, c.usage_type;
