-- Forget the headers that were written before.
-- writes: totals_swap
-- params: none
DELETE FROM totals_swap;
