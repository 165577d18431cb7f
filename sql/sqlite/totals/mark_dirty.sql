-- Mark the asked cycles for totals. A mark never comes back once it is gone: it starts
-- at the clock and goes up, so that a slow run cannot clear a mark it has not seen.
-- reads:  totals_pair
-- writes: dirty_cycle
-- params: reason
INSERT INTO dirty_cycle (
    customer_id,
    cycle_start_date,
    cycle_end_date,
    mark,
    reason
)
SELECT
    p.customer_id,
    p.cycle_start_date,
    p.cycle_end_date,
    cast(strftime('%s', 'now') AS integer) * 1000000
    + cast(substr(strftime('%f', 'now'), 4) AS integer) * 1000 AS mark,
    :reason AS reason
FROM totals_pair AS p
WHERE TRUE
ON CONFLICT (customer_id, cycle_start_date) DO UPDATE
SET
    cycle_end_date = excluded.cycle_end_date,
    mark = dirty_cycle.mark + 1,
    reason = excluded.reason;
