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
    cast(unix_timestamp(current_timestamp(6)) * 1000000 AS signed) AS mark,
    :reason AS reason
FROM totals_pair AS p
ON DUPLICATE KEY UPDATE
    cycle_end_date = p.cycle_end_date,
    mark = dirty_cycle.mark + 1,
    reason = :reason;
