-- The cycles that wait for totals, all of them or those of a customer or a day. A cycle
-- whose records were removed after their term can wait, and nothing can be computed of it.
-- reads:  dirty_cycle, customer, retained_aggregate
-- params: customer_id, day (null for no filter)
-- yields: customer_id, cycle_start_date, cycle_end_date, currency, mark, reason
SELECT
    d.customer_id,
    d.cycle_start_date,
    d.cycle_end_date,
    coalesce(c.currency, 'EUR') AS currency,
    d.mark,
    d.reason
FROM dirty_cycle AS d
LEFT JOIN customer AS c ON d.customer_id = c.customer_id
WHERE
    (:customer_id IS NULL OR d.customer_id = :customer_id)
    AND (:day IS NULL OR (d.cycle_start_date <= :day AND d.cycle_end_date > :day))
    AND NOT EXISTS (
        SELECT 1
        FROM retained_aggregate AS k
        WHERE
            k.customer_id = d.customer_id
            AND k.cycle_start_date = d.cycle_start_date
            AND k.kind = 'call'
    )
ORDER BY d.customer_id, d.cycle_start_date;
