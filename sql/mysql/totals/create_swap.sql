-- A place of this connection for the headers that are to be written.
-- writes: totals_swap
-- params: none
CREATE TEMPORARY TABLE IF NOT EXISTS totals_swap (
    customer_id bigint NOT NULL,
    cycle_start_date date NOT NULL,
    cycle_end_date date NOT NULL,
    revision bigint NOT NULL,
    method varchar(16) NOT NULL,
    rate_plan varchar(128),
    rate_plan_version varchar(64),
    currency varchar(3) NOT NULL,
    total_cost_micros bigint NOT NULL,
    provider_cost_micros bigint NOT NULL,
    cdr_count bigint NOT NULL,
    unrated_count bigint NOT NULL,
    content_sha256 varchar(64) NOT NULL,
    PRIMARY KEY (customer_id, cycle_start_date)
) CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
