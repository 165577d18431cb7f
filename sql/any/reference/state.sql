-- The hash of one kind of reference data as it was last loaded.
-- reads:  reference_state
-- params: name
-- yields: sha256
SELECT sha256 FROM reference_state
WHERE name = :name;
