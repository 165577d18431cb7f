-- A place of this connection for the places of records that are offered again.
-- writes: offered_place
-- params: none
CREATE TEMPORARY TABLE IF NOT EXISTS offered_place (
    member varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    line_no bigint NOT NULL,
    PRIMARY KEY (member, line_no)
);
