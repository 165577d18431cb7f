-- What came with these bytes when they were given again, until some of them are stored.
-- reads:  import_batch
-- writes: import_queue
-- params: import_id, file_name, account, period, sequence, control_text
UPDATE import_queue
SET
    file_name = :file_name,
    account = :account,
    period = :period,
    sequence = :sequence,
    control_text = coalesce(:control_text, control_text)
WHERE
    id = :import_id
    AND complete = 0
    AND locked = 0
    AND NOT EXISTS (
        SELECT 1
        FROM import_batch AS b
        WHERE b.import_id = :import_id
    );
