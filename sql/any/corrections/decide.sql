-- Keep who decided what about an import.
-- writes: import_decision
-- params: import_id, decision, decided_by, record_count, cost_micros, reason
INSERT INTO import_decision (
    import_id, decision, decided_by, record_count, cost_micros, reason
)
VALUES (
    :import_id, :decision, :decided_by, :record_count, :cost_micros, :reason
);
