-- Empty the place for wanted keys.
-- writes: wanted_key
-- params: none
DELETE FROM wanted_key;
