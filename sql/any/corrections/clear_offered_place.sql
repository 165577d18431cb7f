-- Forget the places of the page before.
-- writes: offered_place
-- params: none
DELETE FROM offered_place;
