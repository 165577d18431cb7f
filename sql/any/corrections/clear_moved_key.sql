-- Forget the keys of the page before.
-- writes: moved_key
-- params: none
DELETE FROM moved_key;
