-- Keep the control file that came with a delivery, until the delivery is complete.
-- writes: import_queue
-- params: import_id, control_text
UPDATE import_queue
SET control_text = :control_text
WHERE
    id = :import_id
    AND complete = 0;
