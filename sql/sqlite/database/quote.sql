-- A value as it stands in a statement. A text ends at its first NUL: never ask for one.
-- reads:  none
-- params: value
-- yields: literal
SELECT quote(:value) AS literal;
