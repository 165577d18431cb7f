-- Invoices whose usage is not what the totals changed by between the revisions they name.
-- reads:  invoice, total_usage_new_table, total_usage_new_backup_table
-- params: none
-- yields: subject, expected_count, found_count, expected_micros, found_micros (only where they differ)
WITH r AS (
    SELECT
        customer_id,
        cycle_start_date,
        revision,
        total_cost_micros
    FROM total_usage_new_backup_table
    UNION ALL
    SELECT
        t.customer_id,
        t.cycle_start_date,
        t.revision,
        t.total_cost_micros
    FROM total_usage_new_table AS t
    WHERE NOT EXISTS (
        SELECT 1
        FROM total_usage_new_backup_table AS b
        WHERE
            b.customer_id = t.customer_id
            AND b.cycle_start_date = t.cycle_start_date
            AND b.revision = t.revision
    )
)

SELECT
    i.invoice_number AS subject,
    0 AS expected_count,
    0 AS found_count,
    coalesce(n.total_cost_micros, 0) - coalesce(o.total_cost_micros, 0) AS expected_micros,
    i.usage_micros AS found_micros
FROM invoice AS i
LEFT JOIN r AS n
    ON
        i.customer_id = n.customer_id
        AND i.cycle_start_date = n.cycle_start_date
        AND i.revision = n.revision
LEFT JOIN r AS o
    ON
        i.customer_id = o.customer_id
        AND i.cycle_start_date = o.cycle_start_date
        AND i.base_revision = o.revision
WHERE
    i.usage_micros
    <> coalesce(n.total_cost_micros, 0) - coalesce(o.total_cost_micros, 0)
ORDER BY i.invoice_number;
