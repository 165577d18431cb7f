-- Take a feed for this run, if nobody did since it was read (compare and set).
-- writes: sync_profile
-- params: id, seen_s (NULL = never fetched), as_of_s
UPDATE sync_profile
SET last_sync_at = from_unixtime(:as_of_s)
WHERE
    id = :id
    AND floor(unix_timestamp(last_sync_at)) <=> :seen_s;
