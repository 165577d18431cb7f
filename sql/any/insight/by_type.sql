-- Provider cost and own price of some customers' cycle, by usage type.
-- reads:  call_detail_record, total_usage_line
-- params: customer_ids, since, before (half-open: the cycle), unready_ids
-- yields: customer_id, usage_type, provider_micros, own_micros
SELECT
    b.customer_id,
    b.usage_type,
    sum(b.provider_micros) AS provider_micros,
    sum(b.own_micros) AS own_micros
FROM (
    SELECT
        r.customer_id,
        r.usage_type,
        coalesce(sum(r.cost_micros), 0) AS provider_micros,
        0 AS own_micros
    FROM call_detail_record AS r
    WHERE
        r.customer_id IN :customer_ids
        AND r.call_date >= :since
        AND r.call_date < :before
        AND r.import_id NOT IN :unready_ids
    GROUP BY r.customer_id, r.usage_type
    UNION ALL
    SELECT
        l.customer_id,
        l.usage_type,
        0 AS provider_micros,
        sum(l.cost_micros) AS own_micros
    FROM total_usage_line AS l
    WHERE
        l.customer_id IN :customer_ids
        AND l.cycle_start_date = :since
    GROUP BY l.customer_id, l.usage_type
) AS b
GROUP BY b.customer_id, b.usage_type
ORDER BY b.customer_id, b.usage_type;
