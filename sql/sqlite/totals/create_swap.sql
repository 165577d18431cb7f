-- A place of this connection for the headers that are to be written.
-- writes: totals_swap
-- params: none
CREATE TEMPORARY TABLE IF NOT EXISTS totals_swap (
    customer_id integer NOT NULL,
    cycle_start_date text NOT NULL,
    cycle_end_date text NOT NULL,
    revision integer NOT NULL,
    method text NOT NULL,
    rate_plan text,
    rate_plan_version text,
    currency text NOT NULL,
    total_cost_micros integer NOT NULL,
    provider_cost_micros integer NOT NULL,
    cdr_count integer NOT NULL,
    unrated_count integer NOT NULL,
    content_sha256 text NOT NULL,
    PRIMARY KEY (customer_id, cycle_start_date)
);
