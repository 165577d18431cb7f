-- Keep the hash of one kind of reference data.
-- writes: reference_state
-- params: name, sha256
INSERT INTO reference_state (name, sha256)
VALUES (:name, :sha256);
