-- A place for what each frame of records adds; sums are wide, so that none can wrap.
-- writes: charges
-- params: none
CREATE TEMPORARY TABLE charges (
    currency varchar NOT NULL,
    customer_id bigint NOT NULL,
    contract varchar NOT NULL,
    usage_type varchar NOT NULL,
    record_count bigint NOT NULL,
    unrated_count bigint NOT NULL,
    cost_micros hugeint NOT NULL
);
