-- A place of this connection for the places of records that are offered again.
-- writes: offered_place
-- params: none
CREATE TEMPORARY TABLE IF NOT EXISTS offered_place (
    member text NOT NULL,
    line_no integer NOT NULL,
    PRIMARY KEY (member, line_no)
);
