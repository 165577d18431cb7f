-- A place of this connection for the keys of records that leave where they are.
-- writes: moved_key
-- params: none
CREATE TEMPORARY TABLE IF NOT EXISTS moved_key (
    fingerprint bigint NOT NULL,
    customer_id bigint NOT NULL,
    call_date datetime NOT NULL,
    PRIMARY KEY (fingerprint, customer_id, call_date)
);
