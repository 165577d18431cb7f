-- The lower 63 bits of the MD5 of each key text, in the order given.
-- reads:  key_texts
-- params: none
-- yields: fingerprint
SELECT (md5_number(key_text) & 9223372036854775807)::bigint AS fingerprint
FROM key_texts
ORDER BY row_no;
