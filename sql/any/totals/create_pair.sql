-- A place of this connection for the cycles that are asked for.
-- writes: totals_pair
-- params: none
CREATE TEMPORARY TABLE IF NOT EXISTS totals_pair (
    customer_id bigint NOT NULL,
    cycle_start_date date NOT NULL,
    cycle_end_date date NOT NULL,
    mark bigint,
    PRIMARY KEY (customer_id, cycle_start_date)
);
