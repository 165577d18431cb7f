-- Cycles whose totals are not what was invoiced last, ended by a day or asked for by one.
-- reads:  total_usage_new_table, invoice
-- params: since, until (half-open bounds of the cycle's end), customer_id (null for all)
-- yields: customer_id, cycle_start_date, cycle_end_date, revision, method, rate_plan,
--         rate_plan_version, currency, cdr_count, unrated_count,
--         content_sha256
SELECT
    t.customer_id,
    t.cycle_start_date,
    t.cycle_end_date,
    t.revision,
    t.method,
    t.rate_plan,
    t.rate_plan_version,
    t.currency,
    t.cdr_count,
    t.unrated_count,
    t.content_sha256
FROM total_usage_new_table AS t
LEFT JOIN invoice AS i
    ON
        t.customer_id = i.customer_id
        AND t.cycle_start_date = i.cycle_start_date
        AND i.document_no = (
            SELECT max(n.document_no)
            FROM invoice AS n
            WHERE
                n.customer_id = t.customer_id
                AND n.cycle_start_date = t.cycle_start_date
        )
WHERE
    t.cycle_end_date >= :since
    AND t.cycle_end_date < :until
    AND (:customer_id IS NULL OR t.customer_id = :customer_id)
    AND (i.revision IS NULL OR i.revision <> t.revision)
ORDER BY t.customer_id, t.cycle_start_date;
