-- The sequence numbers of a provider's deliveries for one account, and which of them wait.
-- reads:  import_queue
-- params: provider, account (NULL = none in the file name)
-- yields: sequence, status
SELECT
    sequence,
    status
FROM import_queue
WHERE
    provider = :provider
    AND (account = :account OR (account IS NULL AND :account IS NULL))
    AND sequence IS NOT NULL
ORDER BY id;
