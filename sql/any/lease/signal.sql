-- Count one more signal of this name.
-- writes: lease
-- params: name
UPDATE lease
SET fence = fence + 1
WHERE name = :name;
