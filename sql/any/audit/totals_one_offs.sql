-- One-off allowances of cycles that do not wait, which did not begin with what the cycles
-- before them had left, or gave more than that.
-- reads:  total_allowance, total_usage_new_table, dirty_cycle
-- params: none
-- yields: subject, expected_count, found_count, expected_micros, found_micros (only where they differ)
WITH w AS (
    SELECT
        customer_id,
        cycle_start_date,
        size,
        available,
        used,
        coalesce(
            sum(used) OVER (
                PARTITION BY customer_id, rate_plan, allowance, subscriber
                ORDER BY cycle_start_date
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ), 0
        ) AS used_before
    FROM total_allowance
    WHERE is_once = 1
)

SELECT
    t.id AS subject,
    CASE WHEN w.size > w.used_before THEN w.size - w.used_before ELSE 0 END
        AS expected_count,
    w.available AS found_count,
    w.available AS expected_micros,
    CASE WHEN w.used > w.available THEN w.used ELSE w.available END AS found_micros
FROM w
INNER JOIN total_usage_new_table AS t
    ON
        w.customer_id = t.customer_id
        AND w.cycle_start_date = t.cycle_start_date
WHERE
    (
        w.available
        <> CASE WHEN w.size > w.used_before THEN w.size - w.used_before ELSE 0 END
        OR w.used > w.available
    )
    AND NOT EXISTS (
        SELECT 1
        FROM dirty_cycle AS d
        WHERE
            d.customer_id = w.customer_id
            AND d.cycle_start_date = w.cycle_start_date
    )
ORDER BY t.id;
