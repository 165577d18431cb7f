-- Records of an import that later deliveries replaced.
-- reads:  superseded_record
-- params: import_id
-- yields: id, fingerprint, superseded_by_import_id, line_no, cost_micros
SELECT
    id,
    fingerprint,
    superseded_by_import_id,
    line_no,
    cost_micros
FROM superseded_record
WHERE import_id = :import_id
ORDER BY id;
