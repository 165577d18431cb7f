-- What a person told last of the provider's own invoice over an import.
-- reads:  import_decision
-- params: import_id
-- yields: cost_micros, reason, decided_by
SELECT
    cost_micros,
    reason,
    decided_by
FROM import_decision
WHERE
    import_id = :import_id
    AND decision = 'invoice_total'
ORDER BY id DESC
LIMIT 1;
