-- Use that may be premium or abroad, of some customers within a stretch of days.
-- reads:  call_detail_record
-- params: customer_ids, since, before (half-open), unready_ids
-- yields: customer_id, usage_type, other_class, roaming_country, plmn, record_count,
--         cost_micros
SELECT
    customer_id,
    usage_type,
    other_class,
    roaming_country,
    plmn,
    count(*) AS record_count,
    coalesce(sum(cost_micros), 0) AS cost_micros
FROM call_detail_record
WHERE
    customer_id IN :customer_ids
    AND call_date >= :since
    AND call_date < :before
    AND import_id NOT IN :unready_ids
    AND (
        usage_type = 'content'
        OR other_class = 'premium'
        OR roaming_country IS NOT NULL
        OR plmn IS NOT NULL
    )
GROUP BY customer_id, usage_type, other_class, roaming_country, plmn
ORDER BY customer_id, usage_type, other_class, roaming_country, plmn;
