-- Drop the hash of one kind of reference data, before the new one is written.
-- writes: reference_state
-- params: name
DELETE FROM reference_state
WHERE name = :name;
