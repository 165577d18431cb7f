-- Forget the cycles that were asked for before.
-- writes: totals_pair
-- params: none
DELETE FROM totals_pair;
