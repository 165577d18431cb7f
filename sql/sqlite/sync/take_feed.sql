-- Take a feed for this run, if nobody did since it was read (compare and set).
-- writes: sync_profile
-- params: id, seen_s (NULL = never fetched), as_of_s
UPDATE sync_profile
SET last_sync_at = strftime('%Y-%m-%d %H:%M:%f', :as_of_s, 'unixepoch')
WHERE
    id = :id
    AND cast(strftime('%s', last_sync_at) AS integer) IS :seen_s;
