-- One header for every asked cycle, with zeros where no record fell in it.
-- reads:  usage, pairs
-- params: none
-- yields: customer_id, cycle_start_date, cycle_end_date, currency, total_cost_micros,
--         provider_cost_micros, cdr_count, unrated_count
SELECT
    p.customer_id,
    p.cycle_start_date,
    p.cycle_end_date,
    p.currency,
    coalesce(sum(u.cost_micros), 0)::bigint AS total_cost_micros,
    coalesce(sum(u.cost_micros), 0)::bigint AS provider_cost_micros,
    coalesce(sum(u.cdr_count), 0)::bigint AS cdr_count,
    coalesce(sum(u.unrated_count), 0)::bigint AS unrated_count
FROM pairs AS p
LEFT JOIN usage AS u
    ON
        p.customer_id = u.customer_id
        AND p.cycle_start_date = u.cycle_start_date
GROUP BY p.customer_id, p.cycle_start_date, p.cycle_end_date, p.currency
ORDER BY p.customer_id, p.cycle_start_date;
