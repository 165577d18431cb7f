-- A place of this connection for the keys whose records are to be read.
-- writes: wanted_key
-- params: none
CREATE TEMPORARY TABLE IF NOT EXISTS wanted_key (
    customer_id bigint NOT NULL,
    call_date datetime NOT NULL,
    fingerprint bigint NOT NULL
);
