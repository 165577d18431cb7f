-- Record an insight with its evidence.
-- writes: billing_insight
-- params: kind, severity, customer_id, provider, cycle_start_date, subject, evidence,
--         content_sha256
INSERT INTO billing_insight (
    kind,
    severity,
    customer_id,
    provider,
    cycle_start_date,
    subject,
    evidence,
    content_sha256
)
VALUES (
    :kind,
    :severity,
    :customer_id,
    :provider,
    :cycle_start_date,
    :subject,
    :evidence,
    :content_sha256
);
