-- The server's and the session's settings that decide whether data is safe.
-- yields: name, value (one row for each setting)
SHOW VARIABLES
WHERE variable_name IN (
    'binlog_format',
    'character_set_client',
    'character_set_connection',
    'collation_connection',
    'default_storage_engine',
    'innodb_flush_log_at_trx_commit',
    'local_infile',
    'log_bin',
    'max_allowed_packet',
    'max_error_count',
    'max_statement_time',
    'read_only',
    'version'
);
