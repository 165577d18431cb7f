-- A delivery that was never seen before, waiting to be imported; a known one stays.
-- writes: import_queue
-- params: type, provider, file_name, sha256, size_bytes, account, period, sequence,
--         profile_version, profile_sha256, control_text
INSERT INTO import_queue (
    type, provider, status, file_name, sha256, size_bytes, account, period, sequence,
    profile_version, profile_sha256, control_text
)
VALUES (
    :type,
    :provider,
    'waiting',
    :file_name,
    :sha256,
    :size_bytes,
    :account,
    :period,
    :sequence,
    :profile_version,
    :profile_sha256,
    :control_text
)
ON DUPLICATE KEY UPDATE sha256 = import_queue.sha256;
