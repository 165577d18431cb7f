-- A place for what each frame of records adds; sums are wide, so that none can wrap.
-- writes: usage
-- params: none
CREATE TEMPORARY TABLE usage (
    customer_id bigint NOT NULL,
    cycle_start_date date NOT NULL,
    usage_type varchar NOT NULL,
    zone varchar NOT NULL,
    cdr_count bigint NOT NULL,
    unrated_count bigint NOT NULL,
    duration_s hugeint NOT NULL,
    volume_bytes hugeint NOT NULL,
    events hugeint NOT NULL,
    cost_micros hugeint NOT NULL
);
