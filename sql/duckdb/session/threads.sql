-- How many threads to work with.
-- params: count
SET threads = $count;
