-- A place of this connection for the keys whose records are to be read.
-- writes: wanted_key
-- params: none
CREATE TEMPORARY TABLE IF NOT EXISTS wanted_key (
    customer_id BIGINT NOT NULL,
    call_date DATETIME NOT NULL,
    fingerprint BIGINT NOT NULL
);
