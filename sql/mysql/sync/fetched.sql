-- Whether a remote file was fetched since it was last changed.
-- reads:  import_queue
-- params: provider, file_name, size_bytes, modified_s (seconds since 1970)
-- yields: id
SELECT id
FROM import_queue
WHERE
    provider = :provider
    AND file_name = :file_name
    AND size_bytes = :size_bytes
    AND floor(unix_timestamp(created_at)) >= :modified_s
ORDER BY id
LIMIT 1;
