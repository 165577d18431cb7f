-- Why usage has no price, added up over every cycle in which it is so.
-- reads:  total_unrated_reason, total_usage_new_table
-- params: none
-- yields: rate_plan, usage_type, unrated_code, unrated_reason, customers, cdr_count
SELECT
    coalesce(t.rate_plan, '') AS rate_plan,
    r.usage_type,
    r.unrated_code,
    r.unrated_reason,
    count(DISTINCT r.customer_id) AS customers,
    sum(r.cdr_count) AS cdr_count
FROM total_unrated_reason AS r
INNER JOIN total_usage_new_table AS t
    ON
        r.customer_id = t.customer_id
        AND r.cycle_start_date = t.cycle_start_date
GROUP BY
    coalesce(t.rate_plan, ''),
    r.usage_type,
    r.unrated_code,
    r.unrated_reason
ORDER BY
    cdr_count DESC,
    rate_plan ASC,
    r.usage_type ASC,
    r.unrated_code ASC,
    r.unrated_reason ASC;
