-- What is stored now of the asked cycles; the write transaction keeps others away.
-- reads:  totals_pair, total_usage_new_table
-- params: none
-- yields: customer_id, cycle_start_date, revision, content_sha256
SELECT
    t.customer_id,
    t.cycle_start_date,
    t.revision,
    t.content_sha256
FROM totals_pair AS p
INNER JOIN total_usage_new_table AS t
    ON
        p.customer_id = t.customer_id
        AND p.cycle_start_date = t.cycle_start_date
ORDER BY t.customer_id, t.cycle_start_date;
